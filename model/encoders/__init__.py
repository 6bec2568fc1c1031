"""Image encoders, their preprocessing, weights and pooling."""
