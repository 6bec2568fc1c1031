"""Option dataclasses of the programs; every field is a flag."""
