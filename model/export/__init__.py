"""Trained networks as files that other runtimes open without Keras."""
