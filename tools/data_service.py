"""Decodes images for training on other machines: a dispatcher and its workers.

    python -m tools.data_service --role=dispatcher --port=5050
    python -m tools.data_service --role=worker --port=5051 --dispatcher=localhost:5050
    python -m trainers.train --data_dir=data --data_service=localhost:5050

Every worker must see the dataset under the path the training gives, and run the same TensorFlow. A worker takes all
cores of its machine. Prints where it listens, then nothing until it is stopped by Ctrl-C or SIGTERM.
"""

import dataclasses
import signal
from typing import Literal

from geods import errors
from geods.cli import flags, program


@dataclasses.dataclass(frozen=True)
class Options:
    """Role and address of the process."""

    role: Literal["dispatcher", "worker"] = flags.option("dispatcher", "Which of the two this process is.")
    port: int = flags.option(5050, "Port to listen on.")
    host: str = flags.option("localhost", "Name or address under which trainings reach this worker.")
    dispatcher: str = flags.option("localhost:5050", "host:port of the dispatcher that a worker reports to.")
    work_dir: str = flags.option(
        "", "Folder of the dispatcher's journal, from which a restart resumes; none if empty.", path="local"
    )

    def __post_init__(self) -> None:
        """Checks the port."""
        if not 0 < self.port < 1 << 16:
            raise errors.OptionError(f"--port={self.port}: is not a port.", "give one of 1 to 65535, such as 5050")


def main(settings: Options) -> None:
    """Serves until it is stopped."""
    program.import_quietly("tensorflow")
    from geods.input import data_service

    # Kept, because a server ends with its object.
    server = data_service.start(settings.role, settings.port, settings.host, settings.dispatcher, settings.work_dir)
    print(f"{settings.role} listens on port {settings.port}; stop it with Ctrl-C", flush=True)
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    del server


if __name__ == "__main__":
    program.run(Options, main)
