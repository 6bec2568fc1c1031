"""Packs an imagery tree into a TFDS dataset, in half of the tfds command's time.

    python -m tools.build_dataset --manual_dir=tree --data_dir=data

The files are those of `tfds build geods`, to the last bit. The tfds command first imports Apache Beam, mlcroissant and
all that Keras can use, which this program leaves out. It builds one config unless more are named, the tfds command all
three. Folders that are URLs and the flags of TFDS need the tfds command. Both read the environment variables that
geods/README.md lists.
"""

import dataclasses
import pathlib

from geods import errors
from geods.cli import flags, program
from geods.dataset import dataset_folder


@dataclasses.dataclass(frozen=True)
class Options:
    """Tree and folder of a dataset."""

    manual_dir: str = flags.option("", "Imagery tree, in any layout.", path="local")
    data_dir: str = flags.option("data", "Folder to write geods/CONFIG to.", path="local")
    config: tuple[str, ...] = flags.option(
        dataset_folder.CONFIGS[:1], f"How locations are split: {', '.join(dataset_folder.CONFIGS)}."
    )
    overwrite: bool = flags.option(False, "Whether to build again a dataset that exists.")

    def __post_init__(self) -> None:
        """Checks folders and configs.

        Raises:
            OptionError: If a folder is not given or in the other, or a config unknown.
        """
        flags.check_given(self, manual_dir="give --manual_dir=TREE", data_dir="give --data_dir=FOLDER")
        tree, data = pathlib.Path(self.manual_dir).resolve(), pathlib.Path(self.data_dir).resolve()
        if tree in (data, *data.parents):
            # No program would read the tree any more.
            step = f"name a folder beside it, such as --data_dir={tree.parent / 'data'}"
            raise errors.OptionError(f"--data_dir={self.data_dir}: is inside the tree {self.manual_dir}.", step)
        for name in self.config:
            if name not in dataset_folder.CONFIGS:
                step = f"give {', '.join(dataset_folder.CONFIGS)}; one of your own is built by the tfds command"
                raise errors.OptionError(f"--config={name}: is no config.", step)


def main(options: Options) -> None:
    """Builds each config."""
    program.import_quietly("tensorflow")
    import tensorflow_datasets as tfds

    from geods import geods_dataset_builder
    from geods.storage import files

    tfds.disable_progress_bar()
    for name in options.config:
        builder = geods_dataset_builder.Builder(data_dir=options.data_dir, config=name)
        if options.overwrite:
            files.discard(pathlib.Path(builder.data_path))
            builder = geods_dataset_builder.Builder(data_dir=options.data_dir, config=name)
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=options.manual_dir))


if __name__ == "__main__":
    program.run(Options, main)
