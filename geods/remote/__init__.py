"""Buckets: s3:// and gs:// paths kept as local copies."""
