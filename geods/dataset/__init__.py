"""The TFDS dataset: plan, shards, lineage and readers."""
