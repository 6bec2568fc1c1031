#!/usr/bin/env bash
# Surprise: under the policy "mixed_bfloat16" keras.layers.Normalization rounds coordinates before it subtracts their mean, so that all of
# Tokyo has one value, and a network that takes positions sees one place. No error, no warning, and adapt() looks right.
# One would guess: the layer that brings numbers of any size near 0 does so in float32, and only what follows is in bfloat16, which has
# digits enough for it. A mixed policy keeps variables in float32, and Keras' own BatchNormalization and LayerNormalization compute in
# float32 under it; Discretization, which also takes coordinates, is exact.
# Seen: of 1,000 places in Tokyo, 1,000 standardised positions are left by "float32", 2 by "mixed_bfloat16" and 24 by
# "mixed_float16": longitudes above 128 become whole degrees, the mean that was adapted (35.70, 139.75) is read as 35.75, 140, and values that
# should lie within 2 of 0 are up to 4.4 away from it, in a map of the layer over a dataset too. Positions in metres of UTM (450,000)
# are infinite or NaN in float16. Way out: Normalization(dtype="float32"), as the first layer.
# Versions: keras 3.15.1, jax 0.10.2, numpy 2.4.6, Python 3.11. The same on tensorflow 2.21.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check keras==3.15.1 jax==0.10.2 numpy==2.4.6
KERAS_BACKEND=jax "$work/venv/bin/python" - <<'PY'
import sys

import keras
import numpy as np

draw = np.random.default_rng(0)
tokyo = np.stack([draw.uniform(35.6, 35.8, 1000), draw.uniform(139.6, 139.9, 1000)], 1).astype("float32")
metres = np.stack([draw.uniform(380e3, 400e3, 1000), draw.uniform(3940e3, 3960e3, 1000)], 1).astype("float32")


def standardised(policy, places, **options):
    keras.config.set_dtype_policy(policy)
    layer = keras.layers.Normalization(**options)
    layer.adapt(places)
    values = np.asarray(keras.ops.cast(layer(places), "float32"))
    print(f"{policy:15} {options} {len(np.unique(values, axis=0)):4} positions, at most {np.abs(values).max():.1f} from 0")
    return values


counts = {policy: len(np.unique(standardised(policy, tokyo), axis=0)) for policy in ("float32", "mixed_bfloat16", "mixed_float16")}
way_out = standardised("mixed_bfloat16", tokyo, dtype="float32")
in_metres = standardised("mixed_float16", metres)
bins = keras.layers.Discretization(bin_boundaries=list(np.arange(139.6, 139.9, 0.01)))(tokyo[:, 1])
print("Discretization under the policy:", len(np.unique(bins)), "of 30 columns of the city are in use")
as_seen = counts["float32"] > 990 and counts["mixed_bfloat16"] <= 4 and counts["mixed_float16"] < 200
as_seen = as_seen and len(np.unique(way_out, axis=0)) > 990 and not np.isfinite(in_metres).all() and len(np.unique(bins)) >= 30
sys.exit(0 if as_seen else 1)
PY
