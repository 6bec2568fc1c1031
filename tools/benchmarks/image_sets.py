"""The same images in the form each loader reads.

The forms are a dataset, files in folders of classes, and one tar a core.
"""

import dataclasses
import importlib.util
import io
import os
import pathlib
import tarfile

from geods.storage import files
from geods.tree import imagery_tree
from tools.benchmarks import stages, trees

_CONFIG, _SPLIT = "random", "train"


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Where the images lie in each form.

    Attributes:
        data_dir: Dataset; its split "train" of config "random" holds the images.
        folders: One folder a class.
        tars: `<number>.jpg` and `<number>.cls` in turn, one file a core.
        paths: The files, in the order of the classes.
        labels: Class of each file, from 0.
        height_px: Height of all images.
        width_px: Width of all images.
    """

    data_dir: str
    folders: str
    tars: tuple[str, ...]
    paths: tuple[str, ...]
    labels: tuple[int, ...]
    height_px: int
    width_px: int


def prepare(source: pathlib.Path, work: pathlib.Path, height_px: int, width_px: int, most: int = 0) -> ImageSet:
    """Makes every form of a tree's images, unless they are there.

    Args:
        source: An imagery tree with a partition.
        work: Folder for the forms.
        height_px: Height of the images; those of another size are resized.
        width_px: Width of the images.
        most: Locations to take, spread over the tree; 0 for all.

    Raises:
        BenchmarkError: If `work` holds those of other images.
    """
    root = trees.resized(source, work / "tree", height_px, width_px, most)
    data, folders, done = work / "data", work / "folders", work / "forms"
    if not done.is_file():
        stages.run("build", trees.build_words(str(root), str(data), _CONFIG), work / "build.log")
        _add_array_records(data, work / "convert.log")
        _sort_into_folders(root, data, folders)
    paths = sorted(folders.glob("*/*.jpg"))
    classes = sorted(path.name for path in folders.iterdir())
    labels = [classes.index(path.parent.name) for path in paths]
    cores = os.cpu_count() or 1
    tars = [work / f"images{core}.tar" for core in range(cores)]
    if not done.is_file():
        for core, target in enumerate(tars):
            _write_tar(paths[core::cores], labels[core::cores], target)
        files.write_text(done, f"{len(paths)} images\n")
    return ImageSet(
        data_dir=str(data),
        folders=str(folders),
        tars=tuple(map(str, tars)),
        paths=tuple(map(str, paths)),
        labels=tuple(labels),
        height_px=height_px,
        width_px=width_px,
    )


def _add_array_records(data: pathlib.Path, log: pathlib.Path) -> None:
    """Adds ArrayRecord files to the dataset, where their library is installed."""
    if importlib.util.find_spec("array_record") is None:
        return
    # TFDS 4.9.10 finds no shards by a relative path.
    version = next(data.resolve().glob(f"geods/{_CONFIG}/*"))
    words = [f"--dataset_version_dir={version}", "--out_file_format=array_record", "--num_workers=1"]
    stages.run("convert", ["-m", "tensorflow_datasets.scripts.cli.main", "convert_format", *words], log)


def _sort_into_folders(root: pathlib.Path, data: pathlib.Path, folders: pathlib.Path) -> None:
    """Links the images of the training split into one folder a cell."""
    from geods.dataset import dataset_reader

    index = dataset_reader.index(dataset_reader.open_builder(data, _CONFIG), _SPLIT)
    cells = dict(zip(index.location_ids.tolist(), index.cells.tolist(), strict=True))
    for place in imagery_tree.read(root):
        if place.location_id in cells:
            folder = folders / f"{cells[place.location_id]:04d}"
            folder.mkdir(parents=True, exist_ok=True)
            for view in place.views:
                link = folder / f"{place.location_id}_{view.path.name}"
                link.unlink(missing_ok=True)
                os.link(view.path, link)


def _write_tar(paths: list[pathlib.Path], labels: list[int], target: pathlib.Path) -> None:
    """Writes a tar for webdataset."""
    with files.atomic_path(target) as temporary, tarfile.open(temporary, "w") as archive:
        for number, (path, label) in enumerate(zip(paths, labels, strict=True)):
            for suffix, content in (("jpg", path.read_bytes()), ("cls", str(label).encode())):
                entry = tarfile.TarInfo(f"{number:06d}.{suffix}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
