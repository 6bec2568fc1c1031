#!/usr/bin/env bash
# Surprise: WebDataset's reader does not read back the samples that its own TarWriter wrote, if their keys hold coordinates: photographs
# whose latitudes share their whole degrees become one sample, without an error or a warning.
# One would guess: a key that the writer takes is the key that the reader gives, or the writer refuses it. Folders and files named
# "<lat>,<lon>" are how many scrapes of street views keep their coordinates.
# Seen: a key ends at the first dot of the file's name, so that "41.512,-97.204" is the key "41" with the field "512,-97.204.jpg". Of
# 1,000 locations of the US, sorted by name as tar archives usually are, 24 samples come back and none has a field "jpg";
# to_tuple("jpg", ...), which asks for it, ends in an error, but a loop over the samples just sees fewer. Way out: no dots in
# keys; coordinates in a field of the sample ("json"), or in micro-degrees.
# Versions: webdataset 1.0.2, numpy 2.4.6, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check webdataset==1.0.2 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import random
import sys

import webdataset

draw = random.Random(0)
places = sorted(f"{draw.uniform(25.1, 48.9):.3f},{draw.uniform(-124, -67):.3f}" for _ in range(1000))


def read_back(keys):
    """Writes a sample for each key, and returns those that come back."""
    with webdataset.TarWriter("photographs.tar") as tar:
        for key in keys:
            tar.write({"__key__": key, "jpg": b"photograph at " + key.encode(), "json": {"place": key}})
    return list(webdataset.WebDataset("photographs.tar", shardshuffle=False))


found = read_back(places)
first = {name: value for name, value in found[0].items() if name[0] != "_"}
print(f"written: 1000 samples, the first {places[0]!r}")
print(f"read:    {len(found)} samples, the first {found[0]['__key__']!r} with {len(first)} fields, such as {next(iter(first))!r}")
print("samples with a field jpg:", sum("jpg" in sample for sample in found))
plain = read_back([place.replace(".", "_") for place in places])
print(f"keys without dots: {len(plain)} samples, {sum('jpg' in sample for sample in plain)} with a field jpg")
degrees = {place.split(".")[0] for place in places}
as_seen = [sample["__key__"] for sample in found] == sorted(degrees) and not any("jpg" in sample for sample in found)
sys.exit(0 if as_seen and len(plain) == 1000 else 1)
PY
