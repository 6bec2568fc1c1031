"""Fusion of the views of a location."""
