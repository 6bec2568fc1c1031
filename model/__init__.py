"""The network, in pure Keras 3, so that it runs on every Keras backend."""
