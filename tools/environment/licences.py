"""Under which licences the packages of this environment are, as their own metadata say, and whether that is known."""

import re
from collections.abc import Iterator
from importlib import metadata

from tools.environment import packages

# Of packages whose metadata say nothing, read at https://github.com/mlcommons/croissant and .../fchollet/namex.
_SAID_ELSEWHERE = {"mlcroissant": "Apache-2.0", "namex": "Apache-2.0"}
_PERMISSIVE = re.compile(
    r"\b(0BSD|Apache|BSD|CC0|CNRI|HPND|ISC|MIT|PSF|Python Software Foundation|Unlicense|Zlib|ZPL)\b", re.IGNORECASE
)
# Used as they are, these ask for nothing; changed files of theirs would have to be shared.
_WEAK_COPYLEFT = re.compile(r"\b(MPL|Mozilla Public|LGPL|Lesser General Public)", re.IGNORECASE)
_NVIDIA = re.compile("NVIDIA", re.IGNORECASE)
_MEND = "read its licence and name it in tools/environment/licences.py, or do without the package"


def licences() -> Iterator[packages.Finding]:
    """Yields a finding for each installed package, by name: "bad" where the licence is not known to fit Apache-2.0."""
    found = {one.metadata["Name"].lower().replace("_", "-"): one for one in metadata.distributions()}
    for name in sorted(found):
        licence = _SAID_ELSEWHERE.get(name) or said_in(found[name].metadata)
        # Theirs say "Other/Proprietary License" and not whose.
        verdict, remark = judge(f"NVIDIA {licence}" if name.startswith("nvidia-") else licence)
        text = f"{name} {found[name].version}: {licence or 'says nothing'}{remark}"
        yield packages.Finding(verdict, text, _MEND if verdict == "bad" else "")


def said_in(about: metadata.PackageMetadata) -> str:
    """Returns the licence that a package names: its SPDX expression, else its classifiers, else a line of free text."""
    expression, text = ((about.get_all(name) or [""])[0].strip() for name in ("License-Expression", "License"))
    if expression:
        return expression
    classified = [line.split(" :: ")[-1] for line in about.get_all("Classifier") or () if line.startswith("License ::")]
    named = [licence for licence in classified if licence != "OSI Approved"]
    return " OR ".join(named) or text.split("\n")[0][:80]


def judge(licence: str) -> tuple[packages.Verdict, str]:
    """Returns what is to be thought of a licence, and a remark.

    All that are joined by AND must fit, one of those joined by OR.
    """
    verdicts = [max(map(_judge_one, re.split(r"\bAND\b|,", choice)), key=_rank) for choice in licence.split(" OR ")]
    return min(verdicts, key=_rank)


def _judge_one(licence: str) -> tuple[packages.Verdict, str]:
    """Judges one licence."""
    if _PERMISSIVE.search(licence):
        return "ok", ""
    if _WEAK_COPYLEFT.search(licence):
        return "note", "; changes to its own files must be shared"
    if _NVIDIA.search(licence):
        return "note", "; NVIDIA's own terms, for the extra [gpu] alone"
    return "bad", "; not known to fit Apache-2.0"


def _rank(judged: tuple[packages.Verdict, str]) -> int:
    """Orders verdicts, the best first."""
    return ("ok", "note", "bad").index(judged[0])
