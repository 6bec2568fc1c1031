"""Folders and files of buckets: each is mirrored on this machine's disk, where all programs work, and sent back."""
