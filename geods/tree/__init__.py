"""The imagery tree on disk."""
