"""The TFDS dataset `geods`: one example is one location with its views.

    tfds build geods --manual_dir=TREE --data_dir=DIR

from the project's root. TREE is an imagery tree (`geods.tree.imagery_tree`) or another layout of
`geods.tree.layouts`. Every image is decoded once, and compared with the hash that was recorded for it, before
anything is written. A mistake in TREE ends the command with a message of a few lines; add --verbosity=1 --logtostderr
for the traceback. The tfds command takes no flags of a builder, so these are set in the environment:

    GEODS_PARTITION          the partition, where the tree holds none
    GEODS_ON_BAD_IMAGE       raise (default): nothing is built; skip: they are left out; quarantine: they are moved to
                             TREE.quarantine, each with a file that holds the reason
    GEODS_MAX_BAD_FRACTION   more bad images than this share end a build in any case (0.01)
    GEODS_BLOCK_DEG          edge of the blocks of config blocked, degrees; 1, or smaller where 1 gives unequal splits
    GEODS_SPLIT_SEED         seed of the split; 0, or another where 0 gives unequal splits

Both folders may be URLs (geods/remote/), which TFDS never sees: it gets the paths of their mirrors.

The same tree gives the same bytes, whatever the process or path. geods/dataset/dataset_folder.py says which
files there are.
"""

import contextlib
import dataclasses
import functools
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from etils import epath
from tensorflow_datasets.core import dataset_builder

from geods import errors
from geods.beam import jobs
from geods.cli import program
from geods.dataset import build_plan, dataset_folder, examples, lineage, remote_build, shards, splits
from geods.storage import checksums, disk_errors, files, locks, seals
from geods.tree import bad_images, companions, fingerprint, jpeg

_BUILD_COMMAND = "tfds build geods --manual_dir=TREE --data_dir=DIR"
# Rules of datasets by path: --overwrite deletes a dataset before its builder is made again.
_rules: dict[str, splits.Rule] = {}


@dataclasses.dataclass(eq=False)
class GeodsConfig(tfds.core.BuilderConfig):
    """How locations are split.

    Attributes:
        policy: "blocked" (whole blocks), "random" (by location) or "report" (by image; its lists if there).
        seed: Another seed is another split; None leaves it to the build, as $GEODS_SPLIT_SEED overrides it.
    """

    policy: splits.Policy = "blocked"
    seed: int | None = None

    def __post_init__(self) -> None:
        """Checks the policy."""
        if self.policy not in ("blocked", "random", "report"):
            with _without_traceback():
                raise errors.OptionError(
                    f"policy={self.policy!r}: is not blocked, random or report.", "name one of the three"
                )


class Builder(dataset_builder.FileReaderBuilder):
    """Builds the dataset from an imagery tree and its partition."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "Locations with their views; labels from coordinates."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Give an imagery tree: --manual_dir=TREE; geods/README.md says how one looks."
    DEFAULT_BUILDER_CONFIG_NAME = "blocked"
    BUILDER_CONFIGS: ClassVar[list[GeodsConfig]] = [
        GeodsConfig(name="blocked", policy="blocked", description="Whole blocks in one split, 80/10/10."),
        GeodsConfig(name="random", policy="random", description="Locations split at random, 80/10/10."),
        GeodsConfig(name="report", policy="report", description="The report's split by image: its lists, or 95/5."),
    ]

    # Of the images, known once they were read.
    _size_bytes: int | None = None

    def __init__(self, *, data_dir: Any = None, **kwargs: Any) -> None:  # noqa: ANN401 - whatever the base class takes
        """Opens the dataset, if it is there; a `data_dir` that is a URL is brought here."""
        with _without_traceback():
            self._places = remote_build.RemoteDirs(data_dir)
            super().__init__(data_dir=self._places.data_dir, **kwargs)
        self._note_rule()

    def download_and_prepare(self, **kwargs: Any) -> None:  # noqa: ANN401 - whatever the base class takes
        """Builds the dataset, unless it exists.

        One that exists must have been built of the same images and partition.

        Raises:
            GeodsError: If the tree, its partition or an image cannot be used, the dataset there is of another tree,
                another process builds it, the disk cannot hold it, or a bucket cannot be used.
        """
        with _without_traceback(), self._places.at_work(kwargs) as given, self._alone():
            try:
                self._refuse_stale(given.get("download_config"))
                super().download_and_prepare(**given)
            except Exception as error:
                _sweep(self.data_path, epath.Path(self._data_dir_root))
                if isinstance(error, errors.GeodsError):
                    raise
                if refusal := disk_errors.as_disk_error(self.data_path, error, self._size_bytes):
                    raise refusal from error
                raise

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Locks the config, and removes the leftovers of killed builds."""
        folder = pathlib.Path(self.data_path).parent
        # Not in the folder: a build that fails removes it.
        lock_of = {
            config.name: pathlib.Path(self._data_dir_root, f".{self.name}-{config.name}.lock")
            for config in self.BUILDER_CONFIGS
        }
        mine = lock_of.pop(folder.name)
        with locks.folder(folder, errors.DatasetError, "give another --data_dir", mine):
            lefts = list(folder.glob("incomplete.*"))
            # Builds of all configs write there, for a moment.
            if not any(map(locks.is_held, lock_of.values())):
                lefts += (folder.parent / ".config").glob("incomplete.*")
            for left in lefts:
                files.discard(left)
            yield

    def _create_builder_config(self, builder_config: Any, version: Any) -> Any:  # noqa: ANN401 - the base class's own
        """Returns the config, or says which there are."""
        known = [config.name for config in self.BUILDER_CONFIGS]
        if isinstance(builder_config, str) and builder_config.split(":")[0] not in known:
            with _without_traceback():
                raise errors.DatasetError(
                    f"config {builder_config!r}: is not one of {', '.join(known)}.",
                    f"{_BUILD_COMMAND} --config={known[0]}",
                )
        return super()._create_builder_config(builder_config, version)

    def _info(self) -> tfds.core.DatasetInfo:
        """Returns the features of the dataset.

        The names of the cells follow from the partition when the dataset is built.
        """
        info = self.dataset_info_from_configs(features=examples.features(), metadata=tfds.core.MetadataDict())
        # TFDS 4.9.10 would look for it in Google's bucket, and leave an empty folder behind in /tmp each time.
        info.initialize_from_bucket = lambda: None
        return info

    def _splits_written(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig,
        sealing: seals.ChecksumWriter,
    ) -> Sequence[tfds.core.SplitInfo]:
        """Writes all splits: here, or on Beam where the command has options for that."""
        if not (flags := _beam_flags(download_config)):
            return self._write(self._plan(dl_manager, jpeg.checked), download_config, sealing, None)
        with jobs.workers(flags, self.data_path) as crew:
            plan = self._plan(dl_manager, functools.partial(build_plan.check_files, crew=crew))
            return self._write(plan, download_config, sealing, crew)

    def _write(
        self,
        plan: build_plan.Plan,
        download_config: tfds.download.DownloadConfig,
        sealing: seals.ChecksumWriter,
        crew: jobs.Workers | None,
    ) -> Sequence[tfds.core.SplitInfo]:
        """Writes the shards of a plan."""
        templates = {name: self._get_filename_template(split_name=name) for name in plan.by_split}
        most, config = download_config.max_examples_per_split, download_config.get_shard_config()
        return shards.write(plan.at_most(most), templates, config, self.info.file_format, crew, sealing.begin)

    def _plan(self, dl_manager: tfds.download.DownloadManager, check: build_plan.Check) -> build_plan.Plan:
        """Reads and checks the whole tree and notes the lineage of the dataset."""
        tree = companions.TreeFolder(_manual_dir(dl_manager))
        plan = build_plan.make(tree, self._request(), bad_images.Policy.from_environment(), check)
        examples.name_cells(self.info.features, plan.cell_count)
        self.info.metadata.update(plan.metadata)
        rows = [some.rows() for some in plan.by_split.values()]
        self._size_bytes = int(plan.facts.sizes_bytes[np.concatenate(rows)].sum())
        disk_errors.check_room(self.data_path, self._size_bytes)
        checksums.write(self.data_path / checksums.NAME, plan.sources.images)
        print(f"{self.info.full_name}: {plan.summary}")
        return plan

    def _note_rule(self) -> None:
        """Notes the rule of an existing dataset, for when it is built again."""
        # TFDS builds in another folder, so that the path is asked for here.
        path = str(self.data_path)
        if rule := lineage.rule_in(self.info.metadata or {}):
            _rules[path] = rule
        self._before = _rules.get(path)

    def _request(self) -> splits.Request:
        """Returns the rule of the split as far as it is given or known."""
        config = self.builder_config
        request = splits.Request.from_environment(config.policy, config.seed)
        return dataclasses.replace(request, before=self._before)

    def _download_and_prepare(
        self, dl_manager: tfds.download.DownloadManager, download_config: tfds.download.DownloadConfig
    ) -> None:
        """Writes and seals the dataset in the folder that TFDS renames in the end."""
        folder = pathlib.Path(self.data_dir)
        with seals.ChecksumWriter(folder) as sealing:
            # A split of nothing cannot be written, so TFDS takes this for "no data".
            if download_config.max_examples_per_split != 0:
                splits_of = self._splits_written(dl_manager, download_config, sealing)
                self.info.set_splits(tfds.core.splits.SplitDict(splits_of))
            # TFDS writes the same once more after this; in a folder that is renamed, the seal must already be there.
            self.info.download_size = dl_manager.downloaded_size
            self.info.write_to_directory(self.data_dir)
            sealing.write([path.name for path in folder.iterdir() if path.is_file()])

    def _update_dataset_info(self) -> None:
        """Writes descriptions anew, which `tfds build --update_metadata_only` asks for."""
        super()._update_dataset_info()
        seals.renew(pathlib.Path(self.data_dir), [dataset_folder.INFO, dataset_folder.METADATA])

    def _refuse_stale(self, download_config: tfds.download.DownloadConfig | None) -> None:
        """Raises DatasetError for a dataset of other images or another partition.

        Other than those of the given tree.

        TFDS itself would say "Reusing dataset" and end well.
        """
        if download_config and download_config.download_mode != tfds.download.GenerateMode.REUSE_DATASET_IF_EXISTS:
            return
        dataset_folder.check_undamaged(pathlib.Path(self.data_dir))
        if not self.is_prepared():
            return
        if not self.info.initialized:
            # Another process has built it since this builder was made; TFDS 4.9.10 would go on without what is known.
            self.info.read_from_directory(self.data_dir)
        if download_config is None or not download_config.manual_dir:
            return
        root, config = pathlib.Path(download_config.manual_dir), self.builder_config
        tree = companions.TreeFolder(root)
        rule = splits.Request.from_environment(config.policy, config.seed).filled(
            lineage.rule_in(self.info.metadata) or splits.Rule(config.policy)
        )
        now = build_plan.sources_now(tree, rule, bad_images.Policy.from_environment())
        changes = _changes(pathlib.Path(self.data_dir), self.info.metadata, now)
        if changes:
            kinds = " and ".join(dict.fromkeys(line.split()[0].rstrip(":") for line in changes))
            problem = f"{self.data_path}: was built with other {kinds} than {root} has now:"
            problem = "\n".join([problem, *(f"  {line}" for line in changes)])
            command = f"tfds build geods --overwrite --config={config.name} --manual_dir={root}"
            raise errors.DatasetError(problem, f"{command} --data_dir={self._data_dir_root}")


def _changes(folder: pathlib.Path, metadata: Any, now: lineage.Lineage) -> list[str]:  # noqa: ANN401 - TFDS' dict
    """Returns a line for each change since a dataset was built."""
    try:
        images_then = now.images
        if metadata["source_fingerprint"] != fingerprint.fingerprint(now.images.items()):
            # To say which; a million take 0.5 GB here.
            images_then = checksums.read(folder / checksums.NAME)
        then = lineage.Lineage.from_metadata(metadata["sources"], images_then)
    except (KeyError, TypeError, ValueError):
        return ["sources: it holds no list of them"]
    return then.changes(now)


@contextlib.contextmanager
def _without_traceback() -> Iterator[None]:
    """Lets a user's mistake end the tfds command as its message alone.

    Unless it was started verbosely.
    """
    try:
        yield
    except errors.GeodsError:
        if logging.get_verbosity() <= logging.INFO:
            program.hide_traceback_of_user_errors()
        raise


def _sweep(data_path: epath.Path, data_dir: epath.Path) -> None:
    """Removes leftovers of TFDS' failed builds.

    Empty folders and a note of the default config.
    """
    dataset = data_path.parent.parent
    for folder in (data_path.parent, data_dir / "downloads" / "extracted", data_dir / "downloads"):
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
    if dataset.exists() and [path.name for path in dataset.iterdir()] == [".config"]:
        dataset.rmtree()


def _manual_dir(dl_manager: tfds.download.DownloadManager) -> pathlib.Path:
    """Returns the folder given by --manual_dir."""
    try:
        return pathlib.Path(dl_manager.manual_dir)
    except AssertionError as error:
        problem = str(error).partition(" Create it")[0]
        raise errors.MissingFileError(problem, f"give the imagery tree: {_BUILD_COMMAND}") from error


def _beam_flags(download_config: tfds.download.DownloadConfig) -> list[str]:
    """Returns Beam's options as flags, none where Beam is not asked for."""
    if download_config.beam_runner is not None:
        problem = f"beam_runner={download_config.beam_runner!r}: workers are started by options alone."
        raise errors.OptionError(problem, "name it in beam_options, as runner=DirectRunner")
    if download_config.beam_options is None:
        return []
    options = download_config.beam_options.get_all_options(drop_default=True)
    return [f"--{name}" if value is True else f"--{name}={value}" for name, value in options.items()]
