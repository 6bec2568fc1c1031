"""Runs the course report's method on a tree, from the boundary to its Figure 9.

    python -m tools.report --out=report
    python -m tools.report --out=report --tree=TREE
    python -m tools.report --out=report --tree=TREE --backbone_weights=random --height_px=128 --width_px=256 --epochs=2

Runs the programs one after another and prints each command, so that each can be repeated by hand. The first draws a
small simulated world and takes the first blocks of a MobileNetV2 of random weights: no network, at most 10 minutes on 2
cores, and figures that say nothing about real roads. The second is the report at its own size, with ResNet50's ImageNet
weights; the third is a quick look at a tree. Figures 3 to 9 go to OUT/figures; docs/report.md says which sentence of
the report each step repeats. A second run trains again, but keeps images, dataset and features.
"""

import dataclasses
import pathlib

from geods import errors
from geods.cli import flags, program
from tools import steps

# Random weights on raw pixels give ResNet50 features so large that every unit of a head dies (loss 12,561 in the first
# epoch); these give what tools.demo learns from.
_RANDOM_ENCODER = ("--backbone=mobilenet_v2", "--backbone_weights=random", "--layer=block_6_depthwise_relu")
_SPLIT = ("--config=report", "--splits=train,test")
# The report's four heads, its LSTM and its k-nearest neighbours.
_RECIPES = ("report_75k", "report_1m", "report_6m", "report_13m", "lstm", "centroids")


@dataclasses.dataclass(frozen=True)
class Options:
    """Tree, encoder and size."""

    out: str = flags.option("report", "Folder for everything that is made.", path="out")
    tree: str = flags.option("", "Imagery tree in any layout; empty for a simulated world.", path="in")
    boundary: str = flags.option(
        "", "Boundary of the cells; if empty, us with --tree and a coarse US without.", path="in"
    )
    cell_deg: float | None = flags.option(None, "Side of a cell's box in degrees; 2 with --tree and 4 without.")
    recipes: tuple[str, ...] = flags.option(_RECIPES, "Recipes to train, in the order of Figure 9.")
    backbone_weights: str = flags.option(
        "imagenet", "Weights of ResNet50, with --tree: imagenet, random, or the path of a file.", path="in"
    )
    height_px: int | None = flags.option(None, "Height of the resized images, pixels; 300 with --tree and 128 without.")
    width_px: int | None = flags.option(None, "Width of the resized images, pixels; 600 with --tree and 256 without.")
    epochs: int | None = flags.option(None, "Epochs on each chunk; 20 with --tree, as in the report, and 5 without.")
    locations_per_cell: int = flags.option(6, "Locations in each cell of the simulated world, with 3 views each.")

    def __post_init__(self) -> None:
        """Checks the folder and the recipes; the programs check the rest.

        Raises:
            OptionError: If one is empty.
        """
        if not self.out or not self.recipes:
            raise errors.OptionError("--out or --recipes: is empty.", "name a folder, such as --out=report")


def main(options: Options) -> None:
    """Runs the steps."""
    steps.run(road(options), f"tools.report --out={options.out}")
    print(f"open {pathlib.Path(options.out) / 'figures'}")


def road(options: Options) -> list[steps.Step]:
    """Returns the programs in order."""
    out, is_real = pathlib.Path(options.out), bool(options.tree)
    height_px, width_px = options.height_px or (300 if is_real else 128), options.width_px or (600 if is_real else 256)
    size = (f"--height_px={height_px}", f"--width_px={width_px}")
    real = ("--preprocessing=raw", f"--backbone_weights={options.backbone_weights}")
    encoder = real if is_real else _RANDOM_ENCODER
    files, data = str(out / "dataCombined"), f"--data_dir={out / 'data'}"
    return [
        *_images(options, out, size, files),
        *(
            steps.program(
                f"Figure {number}", "tools.render", f"--figure={name}", f"--imagery={files}", f"--out={out / 'figures'}"
            )
            for number, name in ((4, "cell"), (6, "input"))
        ),
        steps.dataset("report", files, str(out / "data")),
        steps.program(
            "feature maps of a frozen encoder",
            "trainers.extract",
            *(steps.recipe("features/maps"), data, f"--cache_dir={out / 'cache'}", *_SPLIT, *encoder, *size),
        ),
        *_models(options, out, data),
    ]


def _images(options: Options, out: pathlib.Path, size: tuple[str, ...], files: str) -> list[steps.Step]:
    """Returns the programs from the boundary to the report's image files."""
    is_real, cells = bool(options.tree), f"{out / 'partition.geojson'}"
    boundary = options.boundary or ("us" if is_real else "demo")
    cut = (f"--boundary={boundary}", f"--cell_deg={options.cell_deg or (2.0 if is_real else 4.0):g}", f"--out={cells}")
    source = options.tree or str(out / "tree")
    road = [
        steps.program("cells (Figure 3)", "tools.make_partition", *cut, f"--figure={out / 'figures' / '3.png'}"),
        steps.program(
            "images of a simulated world",
            "tools.simulate_tree",
            *(f"--partition={cells}", f"--out={source}", f"--locations_per_cell={options.locations_per_cell}", *size),
        ),
        steps.program(
            "the report's file names, 5 % of the images in its test list",
            "tools.convert_tree",
            *(f"--source={source}", f"--out={files}", f"--partition={cells}", "--to=combined_files"),
            *(() if _has_lists(options.tree) else ("--test_share=0.05",)),
        ),
    ]
    return [road[0], road[2]] if is_real else road


def _models(options: Options, out: pathlib.Path, data: str) -> list[steps.Step]:
    """Returns the programs that train, measure and draw every recipe."""
    runs, road, figures = [str(out / "runs" / recipe) for recipe in options.recipes], [], out / "figures"
    # The maps serve all: a head on pooled features pools them itself.
    given = (data, "--config=report", "--validation_split=", f"--cache_dir={out / 'cache' / 'maps'}", "--features=")
    epochs = f"--epochs={options.epochs or (20 if options.tree else 5)}"
    for recipe, run in zip(options.recipes, runs, strict=True):
        words = (steps.recipe(recipe), *given, epochs, f"--run_dir={run}", "--overwrite")
        road.append(steps.program(f"training of {recipe}", "trainers.train", *words))
        road.append(steps.program(f"single test images of {recipe}", "trainers.evaluate", f"--run_dir={run}"))
    drawn = {
        "Figures 5 and 8": (f"--run_dir={runs[0]}", "--figure=layers", f"--out={figures}"),
        "Figure 7": (f"--run_dir={runs[0]}", "--shading=minmax", f"--out={figures}"),
        "Figure 9": (f"--compare={','.join(runs)}", "--metric=report", f"--out={figures / '9.png'}"),
    }
    return [*road, *(steps.program(name, "tools.render", *words) for name, words in drawn.items())]


def _has_lists(tree: str) -> bool:
    """Returns whether a tree has lists of training and test files of its own."""
    from geods.dataset import split_lists
    from geods.tree import companions, layouts

    return bool(tree) and split_lists.find(companions.TreeFolder(tree), layouts.read(tree)) is not None


if __name__ == "__main__":
    program.run(Options, main)
