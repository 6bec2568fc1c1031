"""A run behind HTTP: predictions of photographs, and pages that show them."""
