"""Command-line programs from option dataclasses."""
