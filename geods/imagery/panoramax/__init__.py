"""Panoramax as an imagery source."""
