"""The images to measure on: a tree of one size, and the dataset built of it.

Larger trees are made by repeating the images of one at locations nearby.
"""

import concurrent.futures
import dataclasses
import io
import itertools
import json
import os
import pathlib
from typing import TYPE_CHECKING

from geods import errors
from geods.cli import flags
from geods.storage import files
from tools.benchmarks import stages

if TYPE_CHECKING:
    import numpy as np


_ROOT = pathlib.Path(__file__).parent.parent.parent
_QUALITY = 75
_LOCATIONS_PER_CELL = 5  # Of a tree that is drawn.
# 1e-5 degrees are 1 m; no location is moved out of its cell but at an edge, which changes nothing that is measured.
_STEP_DEG = 1e-5
_MADE_OF = "made_of.json"
# Of tiny trees.
_SOUTH, _NORTH, _WEST, _EAST = 30.0, 48.0, -120.0, -70.0
_CELL_DEG = 2.0
# A file takes at most 65,000 links on ext4.
_PICTURES = 64
# Images of the size of the pictures: one that must be resized takes 6 ms, far more than all the rest.
TINY_ENCODER = (
    *("--height_px=32", "--width_px=32", "--backbone=mobilenet_v2", "--backbone_weights=random"),
    *("--layer=block_1_expand_relu", "--pooling=avg"),
)


def build_words(root: str, data_dir: str, config: str) -> tuple[str, ...]:
    """Returns the words after `python` for `tfds build` of a tree."""
    # The tfds command itself would have to be on the PATH; this is what it calls.
    program = ("-m", "tensorflow_datasets.scripts.cli.main", "build", str(_ROOT / "geods"))
    return (*program, f"--config={config}", f"--manual_dir={root}", f"--data_dir={data_dir}", "--overwrite")


@dataclasses.dataclass(frozen=True)
class ImageOptions:
    """Images to measure on, and how often."""

    images: str = flags.option("", "Imagery tree to take the images from; empty to draw a simulated one.", path="in")
    work_dir: str = flags.option("benchmark", "Folder for intermediate files and the results.", path="out")
    rounds: int = flags.option(5, "Clean readings to take of each row of the table.")

    def __post_init__(self) -> None:
        """Checks the number.

        Raises:
            OptionError: If it is below 1.
        """
        flags.check_at_least(self, 1, ("rounds",))

    def tree(self, needs_partition: bool = True) -> pathlib.Path:
        """Returns the tree, drawn in the working folder if none is given.

        Raises:
            MissingFileError: If there is no such tree, or no partition that goes with it, where that is needed.
        """
        from geods.tree import companions

        if self.images:
            root = files.check_folder(self.images, "name an imagery tree, or leave --images out to draw one")
            if needs_partition:
                companions.TreeFolder(root).find_partition()
            return root
        work = pathlib.Path(self.work_dir)
        root = work / f"simulated{_LOCATIONS_PER_CELL}"
        cells = root / companions.PARTITION_NAME
        if not cells.is_file():
            words = ("-m", "tools.make_partition", "--boundary=demo", f"--out={cells}")
            stages.run("partition", words, work / "partition.log")
        words = ("-m", "tools.simulate_tree", f"--partition={cells}", f"--out={root}")
        stages.run("images", (*words, f"--locations_per_cell={_LOCATIONS_PER_CELL}"), work / "images.log")
        return root


@dataclasses.dataclass(frozen=True)
class SizedImageOptions(ImageOptions):
    """Images of one size."""

    height_px: int = flags.option(300, "Height of the images in pixels; those of another size are resized beforehand.")
    width_px: int = flags.option(600, "Width of the images in pixels.")

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            OptionError: If one is below 1.
        """
        super().__post_init__()
        flags.check_at_least(self, 1, ("height_px", "width_px"))

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width."""
        return self.height_px, self.width_px


@dataclasses.dataclass(frozen=True)
class EncoderImageOptions(SizedImageOptions):
    """Images of one size and the encoder that they go through."""

    backbone: str = flags.option("resnet50", "Encoder: any of keras.applications, such as mobilenet_v2.")
    backbone_weights: str = flags.option("random", "imagenet, random, or the path of a weights file.", path="in")


def resized(source: pathlib.Path, target: pathlib.Path, height_px: int, width_px: int, most: int = 0) -> pathlib.Path:
    """Copies a tree to images of one size, unless that exists.

    Images of another size are resized: a loader that resizes cannot be compared with the speed of decoding alone.

    Args:
        source: An imagery tree with a partition.
        target: Folder to write to.
        height_px: Height of the images.
        width_px: Width of the images.
        most: Locations to copy, spread over the tree; 0 for all.

    Raises:
        BenchmarkError: If `target` was made of something else.
    """
    from geods.tree import companions, imagery_tree

    made_of = {"source": str(source.resolve()), "height_px": height_px, "width_px": width_px, "most": most}
    check_made_of(target, made_of)
    if (target / _MADE_OF).is_file():
        return target
    cells = companions.TreeFolder(source).find_partition().read_text(encoding="utf-8")
    places = imagery_tree.read(source)
    step = max(1, len(places) // most) if most else 1
    chosen = list(itertools.islice(places[::step], most or None))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        views = [view.path for place in chosen for view in place.views]
        list(pool.map(lambda path: _copy(path, target / path.relative_to(source), (width_px, height_px)), views))
    files.write_text(target / companions.PARTITION_NAME, cells)
    files.write_json(target / _MADE_OF, made_of)
    return target


def pixels(root: pathlib.Path, count: int, height_px: int, width_px: int) -> "np.ndarray":
    """Returns images spread over a tree, uint8 `[count, height_px, width_px, 3]`.

    Raises:
        BenchmarkError: If it has fewer.
    """
    import numpy as np
    from PIL import Image

    paths = sorted(root.glob("*/*/*.jpg"))
    if len(paths) < count:
        problem = f"{root}: has {len(paths)} images, fewer than the {count} wanted."
        raise errors.BenchmarkError(problem, "ask for fewer, or name another tree")
    chosen = paths[:: len(paths) // count][:count]
    opened = (Image.open(path).convert("RGB").resize((width_px, height_px)) for path in chosen)
    return np.stack([np.asarray(image) for image in opened])


def check_made_of(folder: pathlib.Path, made_of: dict[str, object]) -> None:
    """Raises BenchmarkError if a folder was made of something else.

    An empty or a missing one passes.
    """
    path = folder / _MADE_OF
    if not path.is_file():
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    if found != made_of:
        problem = f"{folder}: was made of {found}, wanted {made_of}."
        raise errors.BenchmarkError(problem, "name another --work_dir, or delete it")


def _copy(path: pathlib.Path, target: pathlib.Path, size: tuple[int, int]) -> None:
    """Copies an image, as it is or resized."""
    from PIL import Image

    content = path.read_bytes()
    image = Image.open(io.BytesIO(content))
    if image.size != size:
        written = io.BytesIO()
        image.convert("RGB").resize(size).save(written, "JPEG", quality=_QUALITY)
        content = written.getvalue()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def repeated(source: pathlib.Path, target: pathlib.Path, images: int) -> tuple[pathlib.Path, int]:
    """Makes a tree of at least so many images by links to another's.

    One that exists stays.

    Args:
        source: An imagery tree with a partition beside it.
        target: Folder to write to.
        images: Images wanted.

    Returns:
        The tree, and how many images it has.
    """
    from geods.tree import companions, imagery_tree

    places = imagery_tree.read(source)
    made, number = 0, 0
    while made < images:
        place = places[number % len(places)]
        moved = (number // len(places)) * _STEP_DEG
        folder = target / str(place.folder_cell) / f"{place.lat_deg + moved:.6f},{place.lon_deg:.6f}"
        folder.mkdir(parents=True, exist_ok=True)
        for view in place.views:
            link = folder / view.path.name
            if not link.exists():
                os.link(view.path, link)
        made, number = made + len(place.views), number + 1
    cells = companions.TreeFolder(source).find_partition().read_text(encoding="utf-8")
    files.write_text(target / companions.PARTITION_NAME, cells)
    return target, made


def tiny(folder: pathlib.Path, count: int) -> pathlib.Path:
    """Writes a tree of `count` locations of one 32 x 32 image each, unless it exists."""
    import numpy as np
    import shapely
    from PIL import Image

    from geods.geo import boundary, fishnet, partition
    from geods.tree import companions, imagery_tree

    done = folder / companions.PARTITION_NAME
    if done.is_file():
        return folder
    box = shapely.box(_WEST, _SOUTH, _EAST, _NORTH)
    cells = fishnet.make(boundary.Boundary(box, "", "box"), _CELL_DEG)
    rng = np.random.default_rng(0)
    coords = rng.uniform((_SOUTH, _WEST), (_NORTH, _EAST), (count, 2)).round(6)
    pictures = folder / ".pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    for number in range(_PICTURES):
        noise = Image.fromarray(rng.integers(0, 256, (3, 4, 3), dtype=np.uint8))
        noise.resize((32, 32)).save(pictures / f"{number}.jpg")
    for number, ((lat_deg, lon_deg), cell) in enumerate(zip(coords, cells.label(*coords.T), strict=True)):
        place = folder / str(cell) / f"{lat_deg},{lon_deg}"
        place.mkdir(parents=True, exist_ok=True)
        view = place / imagery_tree.view_name(0.0, "2012-05")
        if not view.exists():
            os.link(pictures / f"{number % _PICTURES}.jpg", view)
    partition.write(cells, done)
    return folder
