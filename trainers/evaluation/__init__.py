"""Evaluation, calibration and cross-validation."""
