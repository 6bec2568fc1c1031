"""Memory that is asked for before work begins, so that it ends with a figure and a flag instead of a killed process."""

import pathlib

from geods import errors


def available_bytes() -> int | None:
    """Returns the memory that Linux says is available, within the limit of the control group; None elsewhere."""
    try:
        lines = pathlib.Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None
    group = pathlib.Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):
        limit = available
    return min(available, limit)


def require(what: str, size_bytes: float, step: str) -> None:
    """Refuses what cannot fit.

    Args:
        what: What needs the memory, such as "--batch_size=64: batches of images".
        size_bytes: How much it needs, estimated.
        step: What to change.

    Raises:
        MemoryShortError: If less is available.
    """
    available = available_bytes()
    if available is not None and size_bytes > available:
        problem = f"{what} would take {size_bytes / 1e9:,.1f} GB of memory, {available / 1e9:,.1f} are available."
        raise errors.MemoryShortError(problem, step)
