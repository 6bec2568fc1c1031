"""Programs nobody imports: python -m tools.NAME."""
