"""Programs that run one after another, each shown as the command that repeats it."""

import contextlib
import dataclasses
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from geods import errors
from geods.cli import program as cli_program
from geods.imagery.scraping import outcome
from geods.imagery.street_view import street_view_options
from geods.simulation.server import server_options

_KEY_VARIABLE, _KEY = street_view_options.KEY_ENV, server_options.DEMO_KEY
# Some cells of the simulated world have few roads.
_UNDER_TARGET = outcome.EXIT_CODES["under_target"]


@dataclasses.dataclass(frozen=True)
class Step:
    """One program.

    Attributes:
        purpose: What it does, in a few words.
        arguments: What follows the Python interpreter.
        scrapes: Whether it needs the simulated Street View.
    """

    purpose: str
    arguments: tuple[str, ...]
    scrapes: bool = False

    @property
    def command(self) -> str:
        """Command line to run it by hand."""
        key = f"{_KEY_VARIABLE}={_KEY} " if self.scrapes else ""
        return key + shlex.join([_shown(sys.executable), *self.arguments])


def run(road: Sequence[Step], again: str) -> None:
    """Runs programs in order and prints their times; exits with the first failure.

    Args:
        road: The programs.
        again: Module and flags that run all of them.
    """
    times_s = []
    for number, step in enumerate(road, 1):
        print(f"\n[{number}/{len(road)}] {step.purpose}", flush=True)
        started = time.monotonic()
        with _served(step) as ready:
            print(f"$ {ready.command}", flush=True)
            _run(ready, number, again)
        times_s.append(time.monotonic() - started)
    print()
    for step, seconds in zip(road, times_s, strict=True):
        print(f"{seconds:5.0f} s  {step.purpose}")
    print(f"{sum(times_s):5.0f} s  in all")


def dataset(config: str, tree: str, data: str) -> Step:
    """Returns the step that builds a dataset of a tree."""
    words = (f"--config={config}", f"--manual_dir={tree}", f"--data_dir={data}")
    return program("images to a TFDS dataset", "tools.build_dataset", *words)


def recipe(name: str) -> str:
    """Returns the flag that names a recipe, such as "mlp" or "features/maps"."""
    return f"--flagfile={_shown(str(cli_program.recipe_path(name)))}"


def program(purpose: str, module: str, *arguments: str, scrapes: bool = False) -> Step:
    """Returns the step of a program."""
    return Step(purpose, ("-m", module, *arguments), scrapes)


@contextlib.contextmanager
def _served(step: Step) -> Iterator[Step]:
    """Yields the step with the address of a running simulated Street View.

    Raises:
        RunError: If the service does not start.
    """
    if not step.scrapes:
        yield step
        return
    command = [sys.executable, "-m", "tools.simulated_street_view", "--port=0", "--processes=0"]
    print(f"(beside it runs {shlex.join([_shown(sys.executable), *command[1:]])})", flush=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        try:
            first_line = service.stdout.readline() if service.stdout else ""
            if "http://" not in first_line:
                raise errors.RunError(
                    "the simulated Street View did not start.", f"run it alone: {shlex.join(command)}"
                )
            yield dataclasses.replace(step, arguments=(*step.arguments, f"--api_base={first_line.split()[-1]}"))
        finally:
            service.terminate()
            service.communicate()


def _run(step: Step, number: int, again: str) -> None:
    """Runs a step; exits with its code if it fails."""
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2", cli_program.NO_NEXT: "1"} | os.environ
    environment |= {_KEY_VARIABLE: _KEY} if step.scrapes else {}
    command = [sys.executable, *step.arguments]
    done = subprocess.run(command, env=environment, check=False)
    if not done.returncode or (step.scrapes and done.returncode == _UNDER_TARGET):
        return
    message = (
        f"error: step {number}, {step.purpose}, ended with code {done.returncode}; its own message is above.\n"
        f"Next: fix that, then run the step alone: {step.command}\n"
        f"      or all of them again: {_shown(sys.executable)} -m {again}"
    )
    print(message, file=sys.stderr)
    # A shell says 128 + n for a program that signal n ended.
    sys.exit(done.returncode if done.returncode > 0 else 128 - done.returncode)


def _shown(path: str) -> str:
    """Returns a path relative to the current folder if it lies below it."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
