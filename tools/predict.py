"""Predicts where photographs were taken: one JSON object a line.

    python -m tools.predict --run_dir=runs/mlp photograph.jpg
    python -m tools.predict --run_dir=runs/mlp TREE --top=10 --all_cells

Each argument is a JPEG or a folder of JPEGs (one prediction an image), or images in a layout that tools.convert_tree
reads: one prediction a location, from all its views, with its distance from the true point (with --views=single, the
default of runs on --config=report, one an image). A single image is such a location if its name or that of its folder
holds a latitude and a longitude. The first prediction takes about two seconds by the run's OpenVINO graph,
serving/model.xml; --runtime=tensorflow, and runs without that file, use model.keras and take some seconds more. A line
holds:

    {"file": "photograph.jpg", "views": 1, "lat_deg": 39.7, "lon_deg": -104.9,
     "top_cells": [{"cell": 12, "probability": 0.31, "lat_deg": 39.0, "lon_deg": -105.0}, ...], "elsewhere": 0.2}

After trainers.calibrate it also holds "region": the level, area and number of cells of the credible region.
`lat_deg` and `lon_deg` are the predicted point, those of a cell its centroid; cells that are regions have a "name" too.
The probabilities of the top cells and `elsewhere` add up to 1; --all_cells adds `probabilities`, one for each cell in
order, which add up to 1 as well.
"""

import dataclasses
import json
import pathlib
import sys
import tempfile
from typing import Literal

from geods import errors
from geods.cli import flags, program
from trainers.options import stages


@dataclasses.dataclass(frozen=True)
class Options:
    """Images to predict, and the run to do it with."""

    run_dir: str = flags.option("", "Run folder that trainers.train wrote.", path="in")
    checkpoint: str = flags.option("", stages.CHECKPOINT_HELP)
    views: Literal["auto", "single", "all"] = flags.option("auto", stages.VIEWS_HELP)
    runtime: Literal["auto", "tensorflow", "openvino"] = flags.option(
        "auto", "What runs the network; auto: OpenVINO where the run holds a graph for it, which starts sooner."
    )
    top: int = flags.option(5, "How many of the most probable cells to print.")
    all_cells: bool = flags.option(False, "Whether to print the probability of every cell too.")
    batch_size: int = flags.option(16, "Images or locations at once.")
    on_bad_image: Literal["raise", "skip"] = flags.option("raise", "Images that cannot be used: end, or leave out.")
    images: tuple[str, ...] = flags.positional(
        "IMAGE_OR_FOLDER", "Image files, folders of them, or imagery trees.", path="in"
    )

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            OptionError: If one is missing or out of range.
        """
        flags.check_given(self, run_dir="name a run folder: --run_dir=RUN")
        if not self.images:
            problem = "no image or folder is named."
            raise errors.OptionError(problem, f"python -m tools.predict --run_dir={self.run_dir} IMAGE_OR_FOLDER")
        if self.top < 1:
            raise errors.OptionError(f"--top={self.top}: is below 1.", "give 1 or more")
        if self.batch_size < 1:
            raise errors.OptionError(f"--batch_size={self.batch_size}: is below 1.", "give 1 or more")


def main(options: Options) -> None:
    """Prints the predictions."""
    from geods.imagery.photos import prepared
    from geods.tree import named_images
    from trainers.runs import run_folder

    run = run_folder.check_run(options.run_dir, options.checkpoint)
    # Before TensorFlow, because a word that names nothing is to be answered at once.
    locations = [location for word in options.images for location in named_images.find(word)]
    if run_folder.options_of(run).data.is_single(options.views):
        locations = named_images.single_views(locations)
    with tempfile.TemporaryDirectory() as folder:
        ready = prepared.prepare(locations, pathlib.Path(folder), options.on_bad_image == "skip")
        for text in ready.lines():
            print(program.printable(text), file=sys.stderr)
        from trainers.evaluation import answers, run_predictor

        model = run_predictor.open_run(run, options.checkpoint, options.runtime)
        wanted = (options.batch_size, options.top, options.all_cells)
        for line in answers.predict(model, ready.locations, *wanted, ready.facts):
            print(json.dumps(line, allow_nan=False), flush=True)


if __name__ == "__main__":
    program.run(Options, main)
