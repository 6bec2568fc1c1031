"""Says whether this machine has what geods needs, and for everything that is missing the command that mends it.

    python -m tools.doctor
    python -m tools.doctor --licences

Takes a few seconds, most of them for importing TensorFlow. Prints a line each for Python, the packages (what setup.py
asks for, and the tested versions of constraints.txt), the GPU, memory, disk, keys (whether they are set, never what
they are), the network and the optional extras. The exit code is 0 if all that is needed is there, else 1; what is
marked "note" is needed for some things only. The second command prints the licence of every installed package instead,
in a second, and ends with 1 if one is not known to fit Apache-2.0.
"""

import dataclasses
import os
import pathlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator

try:
    from geods import errors
    from geods.cli import flags, program
    from geods.storage import memory
    from tools.environment import licences as environment_licences
    from tools.environment import packages
except ModuleNotFoundError as missing:
    sys.exit(f'error: {missing}.\nNext: pip install -c constraints.txt -e "."')

_INSTALL = 'pip install -c constraints.txt -e "."'
# As geods.imagery names them; it is not imported, because it needs what may be missing.
_KEYS = {
    "GOOGLE_MAPS_API_KEY": "Street View",
    "GOOGLE_MAPS_SIGNING_SECRET": "signed requests to Street View",
    "MAPILLARY_ACCESS_TOKEN": "Mapillary",
}
_HOSTS = {
    "https://maps.googleapis.com": "Street View",
    "https://graph.mapillary.com": "Mapillary",
    "https://www2.census.gov": "--boundary=us",
    "https://storage.googleapis.com": "--backbone_weights=imagenet",
}
_NVIDIA = ("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")


@dataclasses.dataclass(frozen=True)
class Options:
    """What to ask for."""

    network: bool = flags.option(True, "Try whether the hosts that programs talk to can be reached.")
    timeout_s: float = flags.option(3.0, "How long to wait for each of them.")
    licences: bool = flags.option(False, "Print the licences of all installed packages instead.")
    min_memory_gb: float = flags.option(2.0, "Memory that must be available.")
    min_disk_gb: float = flags.option(1.0, "Disk space that must be free here.")

    def __post_init__(self) -> None:
        """Checks the values."""
        if self.timeout_s <= 0:
            raise errors.OptionError(f"--timeout_s={self.timeout_s}: is not above 0.", "give seconds, such as 3")


def main(options: Options) -> None:
    """Prints all findings; ends with 1 if something that is needed is missing."""
    bad = 0
    for finding in environment_licences.licences() if options.licences else _findings(options):
        bad += finding.verdict == "bad"
        print(f"{finding.verdict:<5} {finding.text}", flush=True)
        if finding.mend:
            print(f"      Next: {finding.mend}", flush=True)
    if options.licences:
        print(f"{bad} licences are not known to fit" if bad else "all licences are known and fit Apache-2.0")
    else:
        print(f"{bad} missing or wrong" if bad else "all that is needed is here")
    sys.exit(1 if bad else 0)


def _findings(options: Options) -> Iterator[packages.Finding]:
    """Looks at everything."""
    yield from _python()
    yield from packages.packages(_INSTALL)
    yield from _tensorflow()
    yield from _room(options)
    yield from _keys()
    yield from _network(options.timeout_s) if options.network else ()
    yield from packages.extras(_INSTALL)


def _python() -> Iterator[packages.Finding]:
    """Looks at Python."""
    version = platform.python_version()
    if sys.version_info < (3, 10):  # noqa: UP036 - the doctor is asked where the rest does not start
        yield packages.Finding("bad", f"Python {version}: 3.10 or newer is needed", "make PYTHON=python3.12 install")
    else:
        yield packages.Finding("ok", f"Python {version} on {platform.system()} {platform.machine()}, {sys.prefix}")


def _tensorflow() -> Iterator[packages.Finding]:
    """Starts TensorFlow in a process of its own, which may die of it, and asks for GPUs."""
    code = "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))"
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        yield packages.Finding("bad", f"TensorFlow does not start: {said}", _INSTALL)
        return
    seen, cards = int(done.stdout.split()[-1]), _cards()
    if seen:
        yield packages.Finding("ok", f"GPU: {seen} that TensorFlow uses ({'; '.join(cards) or 'unnamed'})")
    elif cards:
        text = f"GPU: {'; '.join(cards)}, which TensorFlow does not see"
        yield packages.Finding("note", text, _INSTALL.replace('"."', '".[gpu]"'))
    else:
        yield packages.Finding("ok", "GPU: none; the CPU does all")


def _cards() -> list[str]:
    """Returns the names of NVIDIA's GPUs that the driver knows."""
    if not shutil.which(_NVIDIA[0]):
        return []
    done = subprocess.run(_NVIDIA, capture_output=True, text=True, check=False)
    return done.stdout.strip().splitlines() if done.returncode == 0 else []


def _room(options: Options) -> Iterator[packages.Finding]:
    """Looks at memory and disk."""
    memory_bytes = memory.available_bytes()
    if memory_bytes is not None:
        memory_gb = memory_bytes / 1e9
        short = memory_gb < options.min_memory_gb
        mend = f"end other programs: {options.min_memory_gb:g} GB are needed" if short else ""
        cores = f"{os.cpu_count()} cores"
        yield packages.Finding("bad" if short else "ok", f"memory: {memory_gb:,.1f} GB available, {cores}", mend)
    free_gb = shutil.disk_usage(pathlib.Path.cwd()).free / 1e9
    short = free_gb < options.min_disk_gb
    mend = f"make room: {options.min_disk_gb:g} GB are needed" if short else ""
    yield packages.Finding("bad" if short else "ok", f"disk: {free_gb:,.1f} GB free in {pathlib.Path.cwd()}", mend)
    if not os.access(pathlib.Path.cwd(), os.W_OK):
        yield packages.Finding("bad", f"{pathlib.Path.cwd()} cannot be written", "change to a folder of yours")


def _keys() -> Iterator[packages.Finding]:
    """Says which keys are set, and nothing of what they are."""
    for name, purpose in _KEYS.items():
        if os.environ.get(name):
            yield packages.Finding("ok", f"{name} is set")
        else:
            yield packages.Finding("note", f"{name} is not set; it is for {purpose} only", f"export {name}=...")


def _network(timeout_s: float) -> Iterator[packages.Finding]:
    """Tries the hosts at the same time; any answer will do."""
    import concurrent.futures

    with concurrent.futures.ThreadPoolExecutor(len(_HOSTS)) as pool:
        answers = pool.map(lambda url: _cause_of_silence(url, timeout_s), _HOSTS)
        for (url, purpose), cause in zip(_HOSTS.items(), answers, strict=True):
            if cause:
                text = f"network: {url} cannot be reached ({cause}); it is for {purpose} only"
                yield packages.Finding("note", text, "check the connection, or set HTTPS_PROXY if there is a proxy")
            else:
                yield packages.Finding("ok", f"network: {url} answers")


def _cause_of_silence(url: str, timeout_s: float) -> str:
    """Returns the kind of error with which a host cannot be reached, empty if it answers."""
    try:
        import requests
    except ImportError:
        return "requests is not installed"
    try:
        requests.head(url, timeout=timeout_s, allow_redirects=False)
    except requests.RequestException as error:
        return type(error).__name__
    return ""


if __name__ == "__main__":
    program.run(Options, main)
