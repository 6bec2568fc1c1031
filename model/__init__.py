"""Networks in pure Keras 3, for every Keras backend."""
