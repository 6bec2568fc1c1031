"""Programs that extract features, train and evaluate: python -m trainers.NAME."""
