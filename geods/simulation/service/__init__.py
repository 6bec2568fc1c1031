"""The simulated Street View service: an HTTP server with the answers, the ledger and the faults of the real one."""
