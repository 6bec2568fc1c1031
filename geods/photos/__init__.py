"""Photographs of one's own, and published tables of photographs, brought into an imagery tree."""
