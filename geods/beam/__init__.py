"""Apache Beam jobs that build and extract on many workers."""
