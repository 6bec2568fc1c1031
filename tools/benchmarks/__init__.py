"""Contenders, harness and results of the benchmark programs."""
