"""One file per source of street-level images."""
