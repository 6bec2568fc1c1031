"""A mount namespace for tests that fill a disk."""

NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")
