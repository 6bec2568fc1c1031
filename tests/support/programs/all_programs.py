"""The programs of the project."""

import pathlib

import checkout

PROGRAMS = [
    path
    for package in ("trainers", "tools")
    for path in sorted((checkout.REPO / package).glob("*.py"))
    if "program.run(" in path.read_text(encoding="utf-8")
]


def name_of(path: pathlib.Path) -> str:
    return f"{path.parent.name}.{path.stem}"
