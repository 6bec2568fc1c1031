"""A simulated Street View server."""
