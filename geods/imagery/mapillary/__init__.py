"""Mapillary as an imagery source."""
