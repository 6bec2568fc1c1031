"""Training while images arrive."""
