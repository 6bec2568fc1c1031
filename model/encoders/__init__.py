"""Frozen image encoders and what comes out of them."""
