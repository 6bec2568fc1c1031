"""Partitions, predictions and evaluated run folders drawn from a seed."""

import csv
import json
import pathlib
import struct

import drawn_photos
import numpy as np
import shapely

from geods.geo import boundary, fishnet, geometry, partition
from trainers.evaluation import calibration
from trainers.runs import predictions

COLUMNS = ("location_id", "lat_deg", "lon_deg", "predicted_lat_deg", "predicted_lon_deg", "distance_km", "cell")


def island(vertices: int = 2000, cell_deg: float = 2.0) -> partition.Partition:
    """Returns 60 cells or so of a round island: ragged coast, straight borders."""
    rng = np.random.default_rng(3)
    turn = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    waves = sum(rng.normal(0, 0.5 / k) * np.cos(k * turn + rng.uniform(0, 6)) for k in range(2, 60))
    radius = 8 + 0.5 * waves
    shape = shapely.Polygon(np.column_stack([-95 + radius * np.cos(turn), 40 + 0.8 * radius * np.sin(turn)]))
    return fishnet.make(boundary.Boundary(shape, "", "island"), cell_deg)


def fiji() -> partition.Partition:
    """Returns three cells on both sides of the antimeridian."""
    return partition.Partition(
        (shapely.box(176, -20, 178, -16), shapely.box(178, -20, 180, -16), shapely.box(-180, -20, -178, -16))
    )


def predict(cells: partition.Partition, count: int, seed: int = 0) -> list[predictions.Prediction]:
    """Returns predictions that fade with the distance from a point near the true one."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        truth = np.round(cells.sample(int(rng.integers(len(cells))), 1, rng)[0], 6)
        guess = geometry.destination(truth, rng.uniform(0, 360), rng.exponential(300))
        distances = geometry.haversine_km(guess, cells.centroids)
        weights = np.exp(-(distances - distances.min()) / 200) * rng.uniform(0.5, 1, len(cells))
        lat_deg, lon_deg = truth.tolist()
        predicted = cells.centroids[weights.argmax()].tolist()
        probabilities = (weights / weights.sum()).astype(np.float16)
        found.append(
            predictions.Prediction(
                f"{lat_deg},{lon_deg}", (lat_deg, lon_deg), (predicted[0], predicted[1]), probabilities
            )
        )
    return found


def write(folder: pathlib.Path, cells: partition.Partition, entries: list[predictions.Prediction]) -> pathlib.Path:
    """Writes the files of an evaluated run that are read here."""
    folder.mkdir(parents=True, exist_ok=True)
    partition.write(cells, folder / "partition.geojson")
    np.save(folder / "probabilities.npy", np.stack([entry.probabilities for entry in entries]))
    with open(folder / "predictions.csv", "w", newline="", encoding="utf-8") as target:
        rows = csv.writer(target)
        rows.writerow(COLUMNS)
        for entry in entries:
            rows.writerow([entry.location_id, *entry.truth, *entry.predicted, entry.distance_km, 0])
    return folder


def write_with_tree(root: pathlib.Path, count: int) -> list[predictions.Prediction]:
    """Writes root/run, and root/tree with three views of each of its locations.

    Every image has its position in EXIF and in a comment, as some cameras write it.
    """
    cells = island()
    entries = predict(cells, count)
    write(root / "run", cells, entries)
    for number, entry in enumerate(entries):
        folder = root / "tree" / "0" / entry.location_id
        folder.mkdir(parents=True)
        comment = entry.location_id.encode()
        for heading in (0, 90, 180):
            gps = drawn_photos.position_tags(*entry.truth)
            content = drawn_photos.jpeg(10 * number + heading, gps, tags={0x010E: entry.location_id})
            segment = b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment
            (folder / f"{heading}_2012-05.jpg").write_bytes(content[:2] + segment + content[2:])
    (root / "run" / "metrics.json").write_text(json.dumps({"on": str(root / "tree")}), encoding="utf-8")
    return entries


def write_metrics(folder: pathlib.Path, mean_miles: float, constant_miles: float = 769.0) -> pathlib.Path:
    """Writes the part of metrics.json that a comparison reads."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "mean_miles": mean_miles,
        "intervals": {"mean_miles": [mean_miles - 40, mean_miles + 45]},
        "constant_guess": {"mean_miles": constant_miles},
    }
    (folder / "metrics.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def finish(folder: pathlib.Path, cells: partition.Partition) -> pathlib.Path:
    """Writes the files of a finished training, with a small random network.

    For images of 32 x 64 pixels.
    """
    import keras

    from geods.cli import flags
    from model import decode, geolocator
    from model.encoders import backbones
    from model.heads import classifiers
    from trainers.options import train_options

    keras.utils.set_random_seed(0)
    spec = backbones.BackboneSpec("report_cnn", "random", "block1_conv1", "avg", height_px=32, width_px=64)
    backbone = backbones.build(spec)
    head = classifiers.build("linear", backbone.output_shape[1:], len(cells))
    classifier = geolocator.build_classifier(head, backbone.output_shape[1:])
    decoder = decode.Decoder("least_distance", cells.centroids, cells.diagonal_km, name="decoder")
    geolocator.save(geolocator.build_geolocator(backbone, classifier, decoder), folder / "model.keras")
    partition.write(cells, folder / "partition.geojson")
    (folder / "flags.cfg").write_text(
        flags.to_flagfile(flags.build(train_options.TrainOptions, data_dir=str(folder))), encoding="utf-8"
    )
    return folder


CELLS = partition.Partition(
    tuple(shapely.box(-110 + 2 * x, 30 + 2 * y, -108 + 2 * x, 32 + 2 * y) for y in range(5) for x in range(8))
)


def world(count, temperature=1.0, seed=0):
    """Probabilities made over-confident by a temperature, and truths of the right.

    The truths are drawn from the probabilities before.
    """
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal((count, len(CELLS)))
    right = calibration.tempered(np.exp(logits), 1.0)
    labels = np.array([rng.choice(len(CELLS), p=row) for row in right])
    return calibration.tempered(np.exp(logits), 1 / temperature), labels
