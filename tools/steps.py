"""Programs that run one after another, each shown as the command that repeats it."""

import contextlib
import dataclasses
import functools
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from geods import errors
from geods.cli import program as cli_program
from geods.cli import warm_process
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
    def imports_tensorflow(self) -> bool:
        """Whether the program reads or writes datasets, or trains."""
        module = self.arguments[1]
        return module.startswith("trainers.") or module == "tools.build_dataset"

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
    with contextlib.ExitStack() as stack:
        warm = functools.cache(lambda: stack.enter_context(warm_process.WarmProcess(_environment())))
        for number, step in enumerate(road, 1):
            print(f"\n[{number}/{len(road)}] {step.purpose}", flush=True)
            started = time.monotonic()
            with _served(step) as ready:
                print(f"$ {ready.command}", flush=True)
                _run(ready, number, again, warm)
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


def _environment() -> dict[str, str]:
    return {cli_program.NO_NEXT: "1"} | os.environ


def _run(step: Step, number: int, again: str, warm: Callable[[], warm_process.WarmProcess]) -> None:
    """Runs a step; exits with its code if it fails."""
    if step.imports_tensorflow and warm_process.is_possible():
        status = warm().run(step.arguments[1:])
    else:
        environment = _environment() | ({_KEY_VARIABLE: _KEY} if step.scrapes else {})
        status = subprocess.run([sys.executable, *step.arguments], env=environment, check=False).returncode
    if not status or (step.scrapes and status == _UNDER_TARGET):
        return
    message = (
        f"error: step {number}, {step.purpose}, ended with code {status}; its own message is above.\n"
        f"Next: fix that, then run the step alone: {step.command}\n"
        f"      or all of them again: {_shown(sys.executable)} -m {again}"
    )
    print(message, file=sys.stderr)
    # A shell says 128 + n for a program that signal n ended.
    sys.exit(status if status > 0 else 128 - status)


def _shown(path: str) -> str:
    """Returns a path relative to the current folder if it lies below it."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
