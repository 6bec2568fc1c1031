"""The examples of docs/own_loop.md read a dataset where geods cannot be imported."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys

import checkout
import pytest
from tensorflow_datasets.scripts.cli import convert_format_utils

TEXT = (checkout.REPO / "docs" / "own_loop.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^## (.+?)\n\n```python\n(.*?)```$", TEXT, re.MULTILINE | re.DOTALL))
LIBRARIES = {"tf.data": "tensorflow", "PyTorch": "torch", "Grain": "grain", "JAX": "jax", "Features": "numpy"}


@pytest.fixture(scope="module")
def folder(data_dir, cache_dir, tmp_path_factory):
    """Holds the dataset `data` in both formats, and features of it."""
    folder = tmp_path_factory.mktemp("loop")
    shutil.copytree(data_dir, folder / "data")
    (folder / "cache").mkdir()
    (folder / "cache" / "pooled").symlink_to(cache_dir)
    given = {"dataset_dir": None, "root_data_dir": None, "out_dir": None, "out_file_format": "array_record"}
    convert_format_utils.convert_dataset(
        **given,
        dataset_version_dir=[folder / "data" / "geods" / "random" / "1.0.0"],
        overwrite=False,
        use_beam=False,
        num_workers=1,
        fail_on_error=True,
    )
    return folder


@pytest.mark.parametrize("name", LIBRARIES)
def test_an_example_reads_every_batch(folder, name):
    if importlib.util.find_spec(LIBRARIES[name]) is None:
        pytest.skip(f"{LIBRARIES[name]} is not installed")
    hidden = "import sys\n\nsys.modules['geods'] = None\n"
    (folder / "loop.py").write_text(hidden + EXAMPLES[name], encoding="utf-8")
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "loop.py"], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # 120 locations and some for training, in batches of 16; features at once.
    least, most = (1, 1) if name == "Features" else (7, 12)
    assert least <= len(done.stdout.splitlines()) <= most, done.stdout
