"""Evaluated runs on trees whose images say where they were taken, as cameras' do."""

import json
import pathlib
import struct

import drawn_photos
import drawn_runs

from trainers.runs import predictions


def write(root: pathlib.Path, count: int, headings: tuple[int, ...] = (0, 90, 180)) -> list[predictions.Prediction]:
    """Writes root/run and root/tree; returns the run's predictions.

    Every image has its position in EXIF and in a comment.
    """
    cells = drawn_runs.island()
    entries = drawn_runs.predict(cells, count)
    drawn_runs.write(root / "run", cells, entries)
    for number, entry in enumerate(entries):
        folder = root / "tree" / "0" / entry.location_id
        folder.mkdir(parents=True)
        for heading in headings:
            gps = drawn_photos.position_tags(*entry.truth)
            content = drawn_photos.jpeg(10 * number + heading, gps, tags={0x010E: entry.location_id})
            comment = entry.location_id.encode()
            segment = b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment
            (folder / f"{heading}_2012-05.jpg").write_bytes(content[:2] + segment + content[2:])
    (root / "run" / "metrics.json").write_text(json.dumps({"on": str(root / "tree")}), encoding="utf-8")
    return entries
