"""A made-up world to train and test on: its pictures, its panoramas, and a Street View service that serves them."""
