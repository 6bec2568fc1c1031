"""Contenders that copy a tree's images with hashes: `tfds build` and copies.

An item is an image; one `run` brings all of them.
"""

import hashlib
import pathlib
import shutil
from typing import Any

from geods.tree import jpeg, layouts


class Copy:
    """Reads, hashes and writes every file again, one after another.

    Args:
        root: The tree.
        target: Folder to write to, emptied first.
        checked: Whether every image is decoded first, in threads, as `tfds build` does before it writes anything.
    """

    def __init__(self, root: str, target: str, checked: bool) -> None:
        self._root, self._target, self._checked = root, pathlib.Path(target), checked
        self._paths = [view.path for place in layouts.read(root) for view in place.views]

    def run(self) -> int:
        """Copies the images."""
        shutil.rmtree(self._target, ignore_errors=True)
        if self._checked:
            jpeg.check_facts(jpeg.check_files(self._paths), self._root, "replace or delete them")
        hashes = []
        for number, path in enumerate(self._paths):
            content = path.read_bytes()
            hashes.append(hashlib.sha256(content).hexdigest())
            target = self._target / f"{number:07d}.jpg"
            if number == 0:
                target.parent.mkdir(parents=True)
            target.write_bytes(content)
        return len(hashes)

    def facts(self) -> dict[str, Any]:
        """Returns how many bytes lie in the target."""
        return {"bytes": sum(path.stat().st_size for path in self._target.iterdir())}


class Build:
    """`tfds build`, in a process that has loaded TensorFlow and TFDS already.

    Args:
        root: The tree.
        target: Folder for the dataset, emptied first.
        checked: Whether every image is decoded first; without, the check of an earlier run counts.
    """

    def __init__(self, root: str, target: str, checked: bool) -> None:
        self._root, self._target, self._checked = root, pathlib.Path(target), checked

    def run(self) -> int:
        """Builds the dataset."""
        import tensorflow_datasets as tfds

        from geods import geods_dataset_builder
        from geods.dataset import build_plan

        shutil.rmtree(self._target, ignore_errors=True)
        if self._checked:
            # It remembers what it has checked in this process, for the next of its configs.
            build_plan.forget_checks()
        builder = geods_dataset_builder.Builder(data_dir=str(self._target), config="random")
        config = tfds.download.DownloadConfig(manual_dir=self._root)
        builder.download_and_prepare(download_config=config)
        return int(builder.info.metadata["views"])

    def facts(self) -> dict[str, Any]:
        """Returns how many bytes lie in the target."""
        return {"bytes": sum(path.stat().st_size for path in self._target.rglob("*") if path.is_file())}
