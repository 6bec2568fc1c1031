"""A simulated world: its images, panoramas and Street View service."""
