"""Installed packages and their licences."""
