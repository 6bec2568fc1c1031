"""Checks packages, memory, keys and network, and prints how to repair them.

    python -m tools.doctor

Takes a few seconds, most of them for importing TensorFlow. Prints a line each for Python, the packages (what setup.py
asks for, and the tested versions of constraints.txt), the GPU, memory, disk, keys (whether they are set, never what
they are), the network and the optional extras. The exit code is 0 if all that is needed is there, else 1; what is
marked "note" is needed for some things only.
"""

import dataclasses
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from packaging.requirements import Requirement

try:
    from geods import errors
    from geods.cli import flags, program
    from geods.storage import memory
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
    "https://api.panoramax.xyz": "Panoramax",
    "https://www2.census.gov": "--boundary=us",
    "https://storage.googleapis.com": "--backbone_weights=imagenet",
}
_NVIDIA = ("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")

_CONSTRAINTS = pathlib.Path(__file__).parents[1] / "constraints.txt"
_PURPOSES = {
    "fast": "quicker decoding of JPEGs",
    "gpu": "NVIDIA GPUs",
    "openvino": "quicker extraction on Intel CPUs",
    "int8": "the quickest extraction on CPUs",
    "cloud": "paths that are URLs",
    "dask": "building and extracting on a cluster",
    "h3": "hexagons as cells",
    "export": "models as ONNX and LiteRT files",
    "serve": "tools.serve and tools.play",
    "jax": "KERAS_BACKEND=jax",
    "torch": "KERAS_BACKEND=torch",
    "hub": "encoders of keras-hub",
    "dev": "the tests",
}
Verdict = Literal["ok", "note", "bad"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line of the doctor's report.

    Attributes:
        verdict: "ok", "note" (needed for some things only) or "bad" (needed).
        text: What was found.
        fix: The command that fixes it.
    """

    verdict: Verdict
    text: str
    fix: str = ""


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the report."""

    network: bool = flags.option(True, "Whether to try to reach the hosts that programs use.")
    timeout_s: float = flags.option(3.0, "Seconds to wait for each host of --network.")
    min_memory_gb: float = flags.option(2.0, "Memory that must be available, GB.")
    min_disk_gb: float = flags.option(1.0, "Disk space that must be free in this folder, GB.")

    def __post_init__(self) -> None:
        """Checks the values."""
        if self.timeout_s <= 0:
            raise errors.OptionError(f"--timeout_s={self.timeout_s}: is not above 0.", "give seconds, such as 3")


def main(options: Options) -> None:
    """Prints all findings; ends with 1 if something that is needed is missing."""
    bad = 0
    for finding in _findings(options):
        bad += finding.verdict == "bad"
        print(f"{finding.verdict:<5} {finding.text}", flush=True)
        if finding.fix:
            print(f"      Next: {finding.fix}", flush=True)
    print(f"{bad} missing or wrong" if bad else "all that is needed is here")
    sys.exit(1 if bad else 0)


def _findings(options: Options) -> Iterator[Finding]:
    yield from _python()
    yield from _packages()
    yield from _tensorflow()
    yield from _room(options)
    yield from _keys()
    yield from _network(options.timeout_s) if options.network else ()
    yield from _extras()


def _python() -> Iterator[Finding]:
    version = platform.python_version()
    if sys.version_info < (3, 10):  # noqa: UP036 - the doctor is asked where the rest does not start
        yield Finding("bad", f"Python {version}: 3.10 or newer is needed", "make PYTHON=python3.12 install")
    else:
        yield Finding("ok", f"Python {version} on {platform.system()} {platform.machine()}, {sys.prefix}")


def _packages() -> Iterator[Finding]:
    """Yields findings on the packages that are always needed."""
    try:
        needed = _requirements()[""]
    except metadata.PackageNotFoundError:
        yield Finding("bad", "geods is not installed, so its packages are not known", _INSTALL)
        return
    except ImportError:
        yield Finding("bad", "package packaging is missing, and what came with it", _INSTALL)
        return
    wrong = 0
    for requirement in needed:
        if problem := _problem_of(requirement):
            wrong += 1
            yield Finding("bad", f"package {problem}", _INSTALL)
    if not wrong:
        yield Finding("ok", f"packages: all {len(needed)} that are needed")
    tested = _tested()
    versions = {name: found for name in (one.name for one in needed) if name in tested and (found := _version(name))}
    others = [f"{name} {found} ({tested[name]})" for name, found in versions.items() if found != tested[name]]
    if others:
        yield Finding("note", f"other versions than those tested: {', '.join(others)}", _INSTALL)


def _extras() -> Iterator[Finding]:
    """Yields findings on the optional extras."""
    try:
        groups = _requirements()
    except (metadata.PackageNotFoundError, ImportError):
        return
    for extra, needed in groups.items():
        if not extra:
            continue
        purpose = f" ({_PURPOSES[extra]})" if extra in _PURPOSES else ""
        problems = [problem for requirement in needed if (problem := _problem_of(requirement))]
        if problems:
            command = _INSTALL.replace('"."', f'".[{extra}]"')
            yield Finding("note", f"extra [{extra}]{purpose}: {'; '.join(problems)}", command)
        else:
            yield Finding("ok", f"extra [{extra}]{purpose} is installed")


def _requirements() -> dict[str, list["Requirement"]]:
    """Returns what geods asks for on this machine, by extra, "" for always.

    Raises:
        PackageNotFoundError: If geods itself is not installed.
        ImportError: If packaging is not.
    """
    from packaging.requirements import Requirement

    groups: dict[str, list[Requirement]] = defaultdict(list)
    for line in metadata.requires("geods") or ():
        requirement = Requirement(line)
        named = re.search(r"extra == [\"']([\w-]+)[\"']", line)
        extra = named[1] if named else ""
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            groups[extra].append(requirement)
    return groups


def _problem_of(requirement: "Requirement") -> str:
    """Returns what is wrong with a package; empty if nothing is."""
    found = _version(requirement.name)
    if found is None:
        return f"{requirement.name} is missing ({requirement.specifier or 'any version'})"
    if not requirement.specifier.contains(found, prereleases=True):
        return f"{requirement.name} {found} does not fit {requirement.specifier}"
    return ""


def _version(name: str) -> str | None:
    """Returns the version of an installed package, None if it is missing."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _tested() -> dict[str, str]:
    """Returns the versions in constraints.txt for this Python; none without the file."""
    from packaging.requirements import Requirement

    if not _CONSTRAINTS.is_file():
        return {}
    lines = _CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    pinned = [Requirement(line) for line in lines if line and not line.startswith("#")]
    here = [one for one in pinned if one.marker is None or one.marker.evaluate()]
    return {one.name: str(one.specifier).removeprefix("==") for one in here}


def _tensorflow() -> Iterator[Finding]:
    """Yields the GPUs that TensorFlow finds, in a process of its own.

    It may die of it.
    """
    code = "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))"
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        yield Finding("bad", f"TensorFlow does not start: {said}", _INSTALL)
        return
    seen, cards = int(done.stdout.split()[-1]), _cards()
    if seen:
        yield Finding("ok", f"GPU: {seen} that TensorFlow uses ({'; '.join(cards) or 'unnamed'})")
    elif cards:
        text = f"GPU: {'; '.join(cards)}, which TensorFlow does not see"
        yield Finding("note", text, _INSTALL.replace('"."', '".[gpu]"'))
    else:
        yield Finding("ok", "GPU: none; the CPU does all")


def _cards() -> list[str]:
    """Returns the names of NVIDIA's GPUs that the driver knows."""
    if not shutil.which(_NVIDIA[0]):
        return []
    done = subprocess.run(_NVIDIA, capture_output=True, text=True, check=False)
    return done.stdout.strip().splitlines() if done.returncode == 0 else []


def _room(options: Options) -> Iterator[Finding]:
    memory_bytes = memory.available_bytes()
    if memory_bytes is not None:
        memory_gb = memory_bytes / 1e9
        short = memory_gb < options.min_memory_gb
        fix = f"end other programs: {options.min_memory_gb:g} GB are needed" if short else ""
        cores = f"{os.cpu_count()} cores"
        yield Finding("bad" if short else "ok", f"memory: {memory_gb:,.1f} GB available, {cores}", fix)
    free_gb = shutil.disk_usage(pathlib.Path.cwd()).free / 1e9
    short = free_gb < options.min_disk_gb
    fix = f"make room: {options.min_disk_gb:g} GB are needed" if short else ""
    yield Finding("bad" if short else "ok", f"disk: {free_gb:,.1f} GB free in {pathlib.Path.cwd()}", fix)
    if not os.access(pathlib.Path.cwd(), os.W_OK):
        yield Finding("bad", f"{pathlib.Path.cwd()} cannot be written", "change to a folder of yours")


def _keys() -> Iterator[Finding]:
    """Yields which keys are set, never their values."""
    for name, purpose in _KEYS.items():
        if os.environ.get(name):
            yield Finding("ok", f"{name} is set")
        else:
            yield Finding("note", f"{name} is not set; it is for {purpose} only", f"export {name}=...")


def _network(timeout_s: float) -> Iterator[Finding]:
    """Yields which hosts answer; all are tried at the same time."""
    import concurrent.futures

    with concurrent.futures.ThreadPoolExecutor(len(_HOSTS)) as pool:
        answers = pool.map(lambda url: _cause_of_silence(url, timeout_s), _HOSTS)
        for (url, purpose), cause in zip(_HOSTS.items(), answers, strict=True):
            if cause:
                text = f"network: {url} cannot be reached ({cause}); it is for {purpose} only"
                yield Finding("note", text, "check the connection, or set HTTPS_PROXY if there is a proxy")
            else:
                yield Finding("ok", f"network: {url} answers")


def _cause_of_silence(url: str, timeout_s: float) -> str:
    """Returns the error with which a host cannot be reached, empty if it answers."""
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
