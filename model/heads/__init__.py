"""Heads: from features to cells."""
