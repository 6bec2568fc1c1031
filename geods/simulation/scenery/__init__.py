"""Scenes of a simulated world."""
