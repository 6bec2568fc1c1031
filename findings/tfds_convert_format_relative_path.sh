#!/usr/bin/env bash
# Surprise: "tfds convert_format" cannot convert a dataset named by a relative path, and calls a folder that does not exist converted.
# One would guess: a relative path is read from the current folder, as --data_dir of "tfds build" is, and a missing folder is an error.
# Seen: data/tiny/1.0.0 ends with "ValueError: Found 0 shards for split train, but expected 1 shards" though its shard is there; the
# absolute path of the same folder is converted. A path without a dataset ends with code 0 and "All metadata and shards have been
# converted", so that a script goes on with nothing.
# Versions: tensorflow-datasets 4.9.10, tensorflow 2.21.0, array_record 0.8.6, Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    tensorflow-datasets==4.9.10 tensorflow==2.21.0 array_record==0.8.6 importlib_resources==7.1.0 apache-beam==2.77.0 mlcroissant==1.1.1
cd "$work"
cat > make.py <<'PY'
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

tfds.dataset_builders.store_as_tfds_dataset(
    "tiny",
    version="1.0.0",
    data_dir="data",
    split_datasets={"train": tf.data.Dataset.from_tensor_slices({"x": np.arange(10, dtype=np.int32)})},
    features=tfds.features.FeaturesDict({"x": np.int32}),
)
PY
export TF_CPP_MIN_LOG_LEVEL=3
venv/bin/python make.py > log 2>&1 || { tail -5 log; exit 1; }
converted() {
    local code=0
    venv/bin/tfds convert_format --dataset_version_dir="$1" --out_file_format=array_record --num_workers=1 > log 2>&1 || code=$?
    echo "code $code, $(grep -o "Found 0 shards\|All metadata and shards have been converted" log | head -1)"
}
relative=$(converted data/tiny/1.0.0)
missing=$(converted "$work/data/missing/1.0.0")
absolute=$(converted "$work/data/tiny/1.0.0")
echo "relative path: $relative"
echo "missing folder: $missing"
echo "absolute path: $absolute"
done="code 0, All metadata and shards have been converted"
if [ "$relative" = "code 1, Found 0 shards" ] && [ "$missing" = "$done" ] && [ "$absolute" = "$done" ]; then
    exit 0
fi
echo "changed"
exit 1
