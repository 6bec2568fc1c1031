#!/usr/bin/env bash
# Surprise: Hugging Face's load_dataset("imagefolder") takes names of places and captions for names of splits, and leaves every other
# photograph out: a class folder "val-d-isere" becomes the whole dataset, as its validation split, and one file "kyoto-train.jpg" among a
# hundred the whole training split. No error, no warning, and the labels are gone.
# One would guess: folders are classes, as the loader documents, and every image is loaded; at the least that a name which makes a split
# leaves the rest where it was, or says what it skips.
# Seen: any folder or file counts in whose name train, training, val, valid, validation, dev, test, testing, eval or evaluation stands
# between hyphens, dots, spaces, underscores or digits, in lower case as slugs of places are written: val-d-or, val-de-marne, test-valley.
# If there is one, only what matches is read. Paris, Lyon and val-d-isere give 10 of 30 images without a label; written "Val-d'Isère" it is
# all 30. Below train/ and validation/ the 10 training photographs of the place are in the validation split as well, and its own twice, so
# that a model is measured on what it learnt. Known since 2022, for captions: github.com/huggingface/datasets/issues/5021. Way out:
# data_files={"train": ".../train/**", "validation": ".../validation/**"}, and drop_labels=False.
# Versions: datasets 5.2.0, pillow 13.0.0, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check datasets==5.2.0 pillow==13.0.0
HF_HOME="$work/cache" HF_HUB_OFFLINE=1 "$work/venv/bin/python" - "$work" <<'PY'
import pathlib
import sys

import datasets
from PIL import Image

datasets.disable_progress_bars()


def loaded(name, files, **options):
    """Images and classes of each split that is loaded."""
    root = pathlib.Path(sys.argv[1], name)
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(root / file)
    where = {"data_files": {"train": f"{root}/**"}} if options else {"data_dir": str(root)}
    found = datasets.load_dataset("imagefolder", **where, **options)
    splits = {split: (part.num_rows, getattr(part.features.get("label"), "names", None)) for split, part in found.items()}
    print(f"{name}: {len(files)} images, loaded (images, classes): {splits}")
    return splits


def in_folders(*folders):
    return [f"{folder}/{number}.jpg" for folder in folders for number in range(10)]


captions = [f"kyoto-street-no{number}.jpg" for number in range(99)] + ["kyoto-train.jpg"]
slugs = in_folders("paris", "lyon", "val-d-isere")
as_seen = loaded("slugs", slugs) == {"validation": (10, None)}
as_seen &= loaded("capitals", in_folders("Paris", "Lyon", "Val-d'Isère")) == {"train": (30, ["Lyon", "Paris", "Val-d'Isère"])}
as_seen &= loaded("captions", captions) == {"train": (1, None)}
as_seen &= loaded("way out", slugs, drop_labels=False) == {"train": (30, ["lyon", "paris", "val-d-isere"])}
split = [f"{split}/{file}" for split in ("train", "validation") for file in slugs]
classes = ["lyon", "paris", "val-d-isere"]
as_seen &= loaded("splits above", split) == {"train": (30, classes), "validation": (50, classes)}
sys.exit(0 if as_seen else 1)
PY
