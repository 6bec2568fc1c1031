"""The TFDS dataset: what a build plans and writes, and how it is read."""
