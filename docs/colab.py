"""Source of docs/colab.ipynb, which docs/make_notebook.py makes of it."""

# %% [markdown]
# # geods on Colab
#
# From a tree of images to a map of predictions, with everything on Google Drive or in a bucket, so that it outlives the
# machine: a killed training resumes below. Without images of your own it draws those of a simulated world. It runs in
# any Jupyter as well, in a folder beside the notebook.

# %%
import html
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile

from IPython.display import HTML

try:
    from google import colab
except ImportError:
    HOME = os.environ.get("GEODS_NOTEBOOK", "geods_notebook")
else:
    colab.drive.mount("/content/drive")
    HOME = "/content/drive/MyDrive/geods"

# A bucket instead: colab.auth.authenticate_user(), and HOME = "gs://BUCKET/geods" (docs/buckets.md).

# %% [markdown]
# On Colab, make a wheel on your own machine (`pip wheel --no-deps --wheel-dir=. .` in a checkout) and put it on Drive,
# into the folder geods.

# %%
if importlib.util.find_spec("geods") is None:
    wheels = [str(path) for path in pathlib.Path(HOME).glob("geods-*.whl")]
    if not wheels:
        raise SystemExit(f"put geods-*.whl into {HOME} first")
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *wheels], check=True)


def run(*words: str) -> None:
    """Runs a program, prints its output, and raises if it fails."""
    with subprocess.Popen(
        [sys.executable, "-m", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as program:
        for line in program.stdout:
            print(line, end="")
    if program.returncode:
        raise SystemExit(f"{words[0]} ended with {program.returncode}; the same cell resumes it")


# %% [markdown]
# ## A tree of images
#
# Yours, if it lies on Drive: leave the next cell out, and see `python -m tools.convert_tree --help` for what is read.

# %%
LOCATIONS_PER_CELL = 24

run("tools.make_partition", "--boundary=demo", "--cell_deg=8", f"--out={HOME}/partition.geojson")
run(
    "tools.simulate_tree",
    f"--partition={HOME}/partition.geojson",
    f"--out={HOME}/tree",
    f"--locations_per_cell={LOCATIONS_PER_CELL}",
    "--height_px=150",
    "--width_px=300",
)

# %% [markdown]
# ## A dataset and its features
#
# Features of random weights are enough for drawn scenes alone. For photographs leave out `--backbone_weights`
# and `--layer`.

# %%
run(
    "tensorflow_datasets.scripts.cli.main",
    "build",
    "geods",
    "--config=blocked",
    f"--manual_dir={HOME}/tree",
    f"--data_dir={HOME}/data",
)
run(
    "trainers.extract",
    f"--data_dir={HOME}/data",
    f"--cache_dir={HOME}/cache",
    "--backbone=mobilenet_v2",
    "--backbone_weights=random",
    "--layer=block_6_depthwise_relu",
    "--pooling=avg",
    "--height_px=150",
    "--width_px=300",
)

# %% [markdown]
# ## A training that is killed, and resumes
#
# As when Colab takes its machine back. Run the cell after it again, on any machine, until the run is finished.

# %%
EPOCHS = 40

training = [
    "trainers.train",
    "--recipe=demo",
    f"--epochs={EPOCHS}",
    f"--data_dir={HOME}/data",
    f"--cache_dir={HOME}/cache",
    f"--run_dir={HOME}/runs/demo",
]
with subprocess.Popen([sys.executable, "-m", *training], stdout=subprocess.PIPE, text=True) as killed:
    for line in killed.stdout:
        print(line, end="")
        if line.startswith("epoch 3/"):
            killed.kill()
            break

# %%
run(*training)

# %% [markdown]
# ## Figures and the map
#
# `%load_ext tensorboard` and `%tensorboard --logdir=` with the folder of the runs show the training (not of a bucket
# without TensorFlow's own support for it).

# %%
run("trainers.evaluate", f"--run_dir={HOME}/runs/demo")
figures = tempfile.mkdtemp()
run("tools.render", f"--run_dir={HOME}/runs/demo", f"--out={figures}")

# %%
page = html.escape(pathlib.Path(figures, "map.html").read_text(encoding="utf-8"))
HTML(f'<div><iframe srcdoc="{page}" width="100%" height="600"></iframe></div>')
