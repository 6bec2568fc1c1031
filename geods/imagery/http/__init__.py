"""HTTP client of the imagery services."""
