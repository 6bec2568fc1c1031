"""What the tools.benchmark_* programs share: fair rounds on a machine that throttles, and who takes part in them."""
