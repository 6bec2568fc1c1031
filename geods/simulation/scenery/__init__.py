"""What the pictures of a simulated world show."""
