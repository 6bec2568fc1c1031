"""Feature caches: format, extraction, reading."""
