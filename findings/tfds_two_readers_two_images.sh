#!/usr/bin/env bash
# Surprise: one TFDS dataset has other pixels, and even other channels, by as_dataset than by as_data_source, and what the latter
# gives depends on whether OpenCV happens to be installed.
# One would guess: a feature Image(shape=(None, None, 3)) is an RGB image of the same values whichever way it is read.
# Seen, on JPEGs: of a CMYK one the tf.data reader gives 3 channels; as_data_source gives 4, of inverted ink, where Pillow decodes,
# and 3 where OpenCV is installed. Of an RGB one of smooth colours most values differ by 1 to 3 levels between the readers
# (TensorFlow's fast DCT against the exact one). So a training loop in PyTorch over as_data_source breaks, or not, by a package that it never imports.
# Versions: tensorflow-datasets 4.9.10, tensorflow-cpu 2.21.0, pillow 12.3.0, opencv-python-headless 4.11.0.86, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir tensorflow-datasets==4.9.10 \
    tensorflow-cpu==2.21.0 pillow==12.3.0 importlib_resources==7.1.0
cat > "$work/read.py" <<'PY'
import io
import sys

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image


def jpeg(mode):
    file = io.BytesIO()
    colours = Image.fromarray(np.random.default_rng(0).integers(0, 255, (2, 3, 3), dtype=np.uint8))
    colours.resize((48, 32)).convert(mode).save(file, "JPEG", quality=90)
    return file.getvalue()


features = tfds.features.FeaturesDict({"image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg")})
seen = []
for mode in ("RGB", "CMYK"):
    row = features.serialize_example(features.encode_example({"image": io.BytesIO(jpeg(mode))}))
    # What as_dataset and as_data_source do with each record.
    by_tf_data = features.deserialize_example(row)["image"].numpy()
    by_data_source = features.deserialize_example_np(row)["image"]
    print(mode, "as_dataset", by_tf_data.shape, "as_data_source", by_data_source.shape, end=" ")
    if by_tf_data.shape == by_data_source.shape:
        apart = np.abs(by_tf_data.astype(int) - by_data_source)
        print(f"{(apart > 0).mean():.0%} of the values differ, by up to {apart.max()} levels", end="")
        seen.append((apart > 0).mean() > 0.3)
    print()
    seen.append(by_tf_data.shape[2] == 3 and by_data_source.shape[2] == (int(sys.argv[1]) if mode == "CMYK" else 3))
sys.exit(0 if all(seen) else 1)
PY
echo "with Pillow alone:"
"$work/venv/bin/python" "$work/read.py" 4 2>"$work/log" || { cat "$work/log"; exit 1; }
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps opencv-python-headless==4.11.0.86
echo "with OpenCV installed, which nothing here imports:"
"$work/venv/bin/python" "$work/read.py" 3 2>"$work/log" || { cat "$work/log"; exit 1; }
