"""Import of a user's own photographs."""
