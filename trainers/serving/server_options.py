"""Address and limits of a server."""

import dataclasses
import importlib.util

from geods import errors
from geods.cli import flags


@dataclasses.dataclass(frozen=True)
class ServerOptions:
    """Where a server listens, and how much it takes from a client."""

    host: str = flags.option("127.0.0.1", "Address to listen on; 0.0.0.0 lets other machines in.")
    port: int = flags.option(8000, "Port to listen on; 0 for any that is free.")
    max_mb: float = flags.option(20.0, "Largest request, in megabytes.")
    time_limit_s: float = flags.option(30.0, "Seconds a client has to send a request, and again to take the answer.")

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If one is out of range, or the server's library is not installed.
        """
        if not 0 <= self.port <= 65535:
            raise errors.OptionError(f"--port={self.port}: is not from 0 to 65535.", "give --port=0")
        if not self.host:
            raise errors.OptionError("--host: is empty.", "give --host=127.0.0.1")
        for name in ("max_mb", "time_limit_s"):
            if not 0 < getattr(self, name) < 1e6:
                problem = f"--{name}={getattr(self, name):g}: is not above 0 and below 1,000,000."
                raise errors.OptionError(problem, f"give --{name}={type(self).__dataclass_fields__[name].default:g}")
        if not importlib.util.find_spec("tornado"):
            raise errors.OptionError("the server: tornado is not installed.", 'pip install "geods[serve]"')

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")
