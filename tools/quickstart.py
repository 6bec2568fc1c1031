"""Makes a map of predictions from a folder of photographs and a boundary.

    python -m tools.quickstart --photos=PHOTOS --boundary=us
    python -m tools.quickstart --photos=PHOTOS --boundary=country.geojson --backbone_weights=WEIGHTS.h5

Runs the programs one after another and prints the command that repeats each alone: cells over the boundary, the tree of
photographs with a GPS position, the dataset, the features and the fit of recipe best, the errors on the photographs
kept for the test, and their map. Takes about 25 s for 60 photographs on 2 cores once the weights of the encoder are
there (--backbone_weights=imagenet downloads them). Stop it at any time: the same command resumes, and takes in
photographs that are new.
"""

import dataclasses
import importlib
import math
import os
import pathlib
import shlex
import sys
import time
import typing
from typing import Any

from geods import errors
from geods.cli import flags, program
from geods.storage import files

# Of the sides of cells the largest that divides the boundary into so many.
_SIDES_DEG, _ENOUGH_CELLS = (4.0, 2.0, 1.0, 0.5, 0.25, 0.1), 30
_KM_PER_DEG = 111.0


@dataclasses.dataclass(frozen=True)
class Options:
    """Photographs, boundary and output of a first map."""

    photos: str = flags.option("", "Folder of photographs with a GPS position in their EXIF.", path="in")
    boundary: str = flags.option("", "us, or a file with the outline of the area the photographs are from.", path="in")
    out: str = flags.option("quickstart", "Folder for everything that is made.", path="out")
    csv: str = flags.option("", "Table of the photographs' positions, instead of their EXIF.", path="in")
    part: str = flags.option(
        "largest", "Polygons of the boundary to take: largest; near:100 with islands within 100 km of it; all."
    )
    where: tuple[str, ...] = flags.option(
        (), "FIELD=VALUE: features of the boundary to take, as in tools.make_partition.", repeated=True
    )
    layer: str | None = flags.option(None, "Layer of a boundary that holds several.")
    member: str | None = flags.option(None, "Map of a boundary archive that holds several.")
    import_flags: str = flags.option(
        "", "More flags of tools.import_images, such as '--lat_column=Y --lon_column=X --on_bad_row=skip'."
    )
    cell_deg: float | None = flags.option(None, "Side of a cell in degrees; fitted to the boundary if not given.")
    backbone_weights: str = flags.option("imagenet", "imagenet, or the path of MobileNetV2's weights.", path="in")

    def __post_init__(self) -> None:
        """Checks that photographs, boundary and folder are given.

        Raises:
            OptionError: If one is missing, or --import_flags is no command line.
        """
        boundary = "give --boundary=us, or --boundary=FILE"
        flags.check_given(self, photos="give --photos=FOLDER", boundary=boundary, out="give --out=FOLDER")
        try:
            shlex.split(self.import_flags)
        except ValueError as error:
            problem = f"--import_flags={self.import_flags}: is no command line ({error})."
            raise errors.OptionError(problem, "close its quotation marks") from error


@dataclasses.dataclass(frozen=True)
class Step:
    """One program of the way.

    Attributes:
        purpose: What it does, in a few words.
        module: The program.
        words: Its command line.
    """

    purpose: str
    module: str
    words: tuple[str, ...]

    @property
    def command(self) -> str:
        """Command line that repeats it alone."""
        return shlex.join(["python", "-m", self.module, *self.words])


def main(options: Options) -> None:
    """Runs all steps, and prints where the map is."""
    files.check_folder(options.photos, "name the folder of the photographs: --photos=FOLDER")
    files.check_apart(str(pathlib.Path(options.out, "tree")), options.photos, "the folder of the photographs")
    os.environ[program.NO_NEXT] = "1"
    made = steps(options)
    started_s = time.monotonic()
    for number, step in enumerate(made, 1):
        print(f"\n[{number}/{len(made)}] {step.purpose}\n$ {step.command}", flush=True)
        step_s = time.monotonic()
        try:
            _run(step)
            program.check_uninterrupted()
        except (errors.GeodsError, KeyboardInterrupt) as error:
            is_import = step.module == "tools.import_images" and isinstance(error, errors.GeodsError)
            more = f"; flags of step {number} go into --import_flags='--FLAG=VALUE'" if is_import else ""
            print(f"stopped at step {number} of {len(made)}; the same command resumes there{more}", file=sys.stderr)
            raise
        print(f"({time.monotonic() - step_s:,.1f} s)", flush=True)
    run = pathlib.Path(options.out, "run")
    print(f"\n{time.monotonic() - started_s:,.0f} s in all; open {run / 'map.html'}")
    print(f"next: python -m tools.predict --run_dir={run} PHOTOGRAPH.jpg")


def steps(options: Options) -> list[Step]:
    """Returns the programs in order."""
    out = pathlib.Path(options.out)
    cells, tree, data, cache, run = (str(out / name) for name in ("partition.geojson", "tree", "data", "cache", "run"))
    side_deg = options.cell_deg or _side_deg(options)
    # Of the recipe: 1 degree, finer than tens of photographs need, and a point every half degree.
    fine = ("--cell_deg=0", *(() if side_deg >= 1 else (f"--lattice_deg={side_deg / 2:g}",)))
    table = [f"--csv={options.csv}"] * bool(options.csv) + shlex.split(options.import_flags)
    chosen = [f"--where={choice}" for choice in options.where]
    chosen += [f"--{name}={value}" for name in ("layer", "member") if (value := getattr(options, name))]
    outline = (f"--boundary={options.boundary}", *chosen, f"--part={options.part}", f"--cell_deg={side_deg:g}")
    where = (f"--data_dir={data}", f"--cache_dir={cache}")
    textures, best = (_shown(program.recipe_path(name)) for name in ("features/textures", "best"))
    return [
        Step("cells over the boundary", "tools.make_partition", (*outline, f"--out={cells}")),
        Step(
            "photographs into a tree",
            "tools.import_images",
            (f"--source={options.photos}", *table, f"--partition={cells}", f"--out={tree}", "--on_bad_image=skip"),
        ),
        Step("tree into a dataset", "tools.build_dataset", (f"--manual_dir={tree}", f"--data_dir={data}")),
        Step(
            "features of the photographs",
            "trainers.extract",
            (f"--flagfile={textures}", f"--backbone_weights={options.backbone_weights}", *where),
        ),
        Step("fit", "trainers.train", (f"--flagfile={best}", *fine, *where, f"--run_dir={run}", "--overwrite")),
        Step("errors on the photographs kept for the test", "trainers.evaluate", (f"--run_dir={run}",)),
        Step("map of the predictions", "tools.render", (f"--run_dir={run}", "--images")),
    ]


def _side_deg(options: Options) -> float:
    """Returns the side of cells that divides a boundary into some tens."""
    from geods.geo import boundary, polygons

    found = boundary.load(boundary.Source(options.boundary, options.where, options.layer, options.member), options.part)
    area_km2 = polygons.area_km2(found.shape)
    south, north = found.shape.bounds[1::2]
    width_km = _KM_PER_DEG * math.cos(math.radians((south + north) / 2))
    fitting = [side for side in _SIDES_DEG if area_km2 >= _ENOUGH_CELLS * side**2 * _KM_PER_DEG * width_km]
    return fitting[0] if fitting else _SIDES_DEG[-1]


def _run(step: Step) -> None:
    """Runs a program in this process, so that TensorFlow is loaded once.

    What was made of other photographs is made again.
    """
    try:
        _call(step, step.words)
    except (errors.DatasetError, errors.CacheError) as error:
        if "--overwrite" in step.words or "--overwrite" not in str(error.next_step):
            raise
        print(f"{error.problem}\n$ {step.command} --overwrite", flush=True)
        _call(step, (*step.words, "--overwrite"))


def _call(step: Step, words: tuple[str, ...]) -> None:
    main_of: Any = importlib.import_module(step.module).main
    (options_class,) = [kind for name, kind in typing.get_type_hints(main_of).items() if name != "return"][:1]
    main_of(flags.from_words(options_class, words))


def _shown(path: pathlib.Path) -> str:
    """Returns a path relative to the current folder if it lies below it."""
    return str(path.relative_to(pathlib.Path.cwd())) if path.is_relative_to(pathlib.Path.cwd()) else str(path)


if __name__ == "__main__":
    program.run(Options, main)
