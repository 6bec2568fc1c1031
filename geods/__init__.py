"""The data: from a boundary to tf.data batches."""
