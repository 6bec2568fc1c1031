"""What of the packages that setup.py names is installed, and whether the versions are those that were tested."""

import dataclasses
import pathlib
import re
from collections import defaultdict
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from packaging.requirements import Requirement


_CONSTRAINTS = pathlib.Path(__file__).parents[2] / "constraints.txt"
_PURPOSES = {
    "fast": "quicker decoding of JPEGs",
    "gpu": "NVIDIA GPUs",
    "openvino": "quicker extraction on Intel CPUs",
    "int8": "the quickest extraction on CPUs",
    "cloud": "paths that are URLs",
    "jax": "KERAS_BACKEND=jax",
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
        mend: The command that mends it.
    """

    verdict: Verdict
    text: str
    mend: str = ""


def packages(install: str) -> Iterator[Finding]:
    """Looks at what is always needed; `install` is the command that mends it."""
    try:
        needed = _requirements()[""]
    except metadata.PackageNotFoundError:
        yield Finding("bad", "geods is not installed, so its packages are not known", install)
        return
    except ImportError:
        yield Finding("bad", "package packaging is missing, and what came with it", install)
        return
    wrong = 0
    for requirement in needed:
        if problem := _problem_of(requirement):
            wrong += 1
            yield Finding("bad", f"package {problem}", install)
    if not wrong:
        yield Finding("ok", f"packages: all {len(needed)} that are needed")
    tested = _tested()
    others = [f"{name} {found} ({tested[name]})" for name, found in _found(needed).items() if _is_other(name, found)]
    if others:
        yield Finding("note", f"other versions than those tested: {', '.join(others)}", install)


def extras(install: str) -> Iterator[Finding]:
    """Looks at the optional extras."""
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
            command = install.replace('"."', f'".[{extra}]"')
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
    """Says what is wrong with a package, empty if nothing is."""
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


def _found(needed: list["Requirement"]) -> dict[str, str]:
    """Returns the versions of those that are installed."""
    versions = {requirement.name: _version(requirement.name) for requirement in needed}
    return {name: version for name, version in versions.items() if version}


def _is_other(name: str, found: str) -> bool:
    """Says whether a version is not the tested one."""
    tested = _tested().get(name)
    return tested is not None and tested != found


def _tested() -> dict[str, str]:
    """Returns the versions in constraints.txt for this Python; none where the file is not."""
    from packaging.requirements import Requirement

    if not _CONSTRAINTS.is_file():
        return {}
    lines = _CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    pinned = [Requirement(line) for line in lines if line and not line.startswith("#")]
    here = [one for one in pinned if one.marker is None or one.marker.evaluate()]
    return {one.name: str(one.specifier).removeprefix("==") for one in here}
