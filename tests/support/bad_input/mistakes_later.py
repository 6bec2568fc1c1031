"""Mistakes that take more to be answered.

ON_ROAD is answered without TensorFlow on what the road has made, LATE needs TensorFlow or a service.
"""

import pathlib
import shutil

import drawn_trees
import h5py
from mistakes import BROKEN, KEY, WITH_KEY, WRONG_KEY, Mistake, both, elsewhere, image, text

BUILD = (
    "tensorflow_datasets.scripts.cli.main build geods --config=random --manual_dir={here}/tree --data_dir={here}/data"
)
OF_ROAD = "--data_dir={road}/data --config=random"
EXTRACT = f"trainers.extract {OF_ROAD} --cache_dir={{here}}/cache --height_px=32 --width_px=48"
TRAIN = f"trainers.train {OF_ROAD} --cache_dir={{road}}/cache --run_dir={{here}}/new"


def with_partition(here: pathlib.Path) -> None:
    """Puts the partition into the tree."""
    shutil.copy(here / "partition.geojson", here / "tree")


def hdf5(here: pathlib.Path) -> None:
    """Writes an HDF5 file without any weights."""
    with h5py.File(here / "w.h5", "w") as file:
        file["other"] = [1, 2, 3]


ON_ROAD = {
    "split misspelt": Mistake(f"{EXTRACT} --splits=dev", "no split 'dev'", "one of those"),
    "config not built": Mistake(
        f"{EXTRACT} --config=blocked", "configs built: random", "tfds build geods --config=blocked"
    ),
    "weights missing": Mistake(f"{EXTRACT} --backbone_weights={{here}}/w.h5", "does not exist", "imagenet, random"),
    "cache of another size": Mistake(
        f"{EXTRACT} --cache_dir={{road}}/cache --backbone=report_cnn --backbone_weights=random "
        "--layer=block1_conv1 --pooling=avg --height_px=40",
        "height_px is 32, wanted 40",
        "--overwrite",
    ),
    "head misspelt": Mistake(f"{TRAIN} --head=mpl", "head=mpl: value should be one of", "--head=mlp"),
    "run there already": Mistake(f"{TRAIN} --run_dir={{road}}/run", "trained model already", "--overwrite"),
    "training split misspelt": Mistake(f"{TRAIN} --train_split=training", "training", "extract|split"),
    "test split misspelt": Mistake(
        "trainers.evaluate --run_dir={road}/run --split=tset --out={here}/o", "tset", "one of those"
    ),
    "photograph missing": Mistake("tools.predict --run_dir={road}/run {here}/no.jpg", "does not exist", "JPEG"),
    "photograph is no JPEG": Mistake(
        "tools.predict --run_dir={road}/run {here}/a.gif", "is a GIF", ".", image("a.gif", drawn_trees.gif())
    ),
    "folder without images": Mistake(
        "tools.predict --run_dir={road}/run {here}/empty", "no image", "a JPEG", lambda here: (here / "empty").mkdir()
    ),
}
LATE = {
    "encoder misspelt": Mistake(f"{EXTRACT} --backbone=resnet", "not an encoder", "resnet50"),
    "layer misspelt": Mistake(
        f"{EXTRACT} --backbone=mobilenet_v2 --backbone_weights=random --layer=block_3", "no layer", "block_3"
    ),
    "weights are no weights": Mistake(f"{EXTRACT} --backbone_weights={{here}}/square.geojson", "not an HDF5", "h5"),
    "images too small": Mistake(f"{EXTRACT} --height_px=8 --width_px=8 --backbone_weights=random", "8x8", "size"),
    "report's head on pooled features": Mistake(f"{TRAIN} --head=report_1m", "head|feature", "pooling|layer"),
    "partition of another country": Mistake(
        f"{TRAIN} --partition={{here}}/france.geojson", "partition", "partition", elsewhere
    ),
    "weights of another encoder": Mistake(
        f"{EXTRACT} --backbone=mobilenet_v2 --backbone_weights={{here}}/w.h5", "does not fit", "pass weights of", hdf5
    ),
    "config unknown to the build": Mistake(f"{BUILD} --config=blokced", "blokced", "--config=blocked", status=1),
    "build of no tree": Mistake(
        f"{BUILD} --manual_dir={{here}}/no", "Manual directory .* does not exist", "imagery tree", status=1
    ),
    "build without a partition": Mistake(BUILD, "partition", "make_partition", status=1),
    "build of a broken image": Mistake(
        BUILD, "1 of 10 images cannot be used", "replace or delete", both(with_partition, BROKEN), status=1
    ),
    "key that the service does not know": Mistake(
        f"{WITH_KEY} --api_base={{service}} --max_cost=1",
        "denied:",
        "key",
        text("key", WRONG_KEY, 0o600),
        status=3,
    ),
    "service not there": Mistake(
        f"{WITH_KEY} --api_base=http://127.0.0.1:9 --max_cost=1 --lookup_attempts=1",
        "unavailable: .*Connection refused",
        "same command",
        KEY,
        status=4,
    ),
}
