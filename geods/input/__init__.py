"""The tf.data input pipeline and its JPEG decoders."""
