"""Geometry on the sphere, boundaries and partitions into cells."""
