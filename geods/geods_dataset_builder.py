"""The TFDS dataset `geods`: one example is one location with its views.

    tfds build geods --imports=geods.geods_dataset_builder --manual_dir=TREE --data_dir=DIR

from any folder, and from the project's root without --imports. TREE is an imagery tree (`geods.tree.imagery_tree`) or
another layout of `geods.tree.layouts`. Every image is decoded once, and compared with the hash that was recorded for
it, before anything is written. A mistake in TREE ends the command with a message of a few lines; --verbosity=1
--logtostderr shows the traceback, and TFDS' own output. The tfds command takes no flags of a builder, so these are set
in the environment:

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
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath
from tensorflow_datasets.core import dataset_builder

from geods import errors
from geods.beam import jobs
from geods.cli import program
from geods.dataset import build_plan, dataset_folder, examples, lineage, record_files, shards, splits, tfds_command
from geods.storage import checksums, disk_errors, files, locks, seals
from geods.tree import bad_images, companions, jpeg

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
# Rules of datasets by path: --overwrite deletes a dataset before its builder is made again.
_rules: dict[str, splits.Rule] = {}


@dataclasses.dataclass(eq=False)
class GeodsConfig(tfds.core.BuilderConfig):
    """How locations are split.

    One of `Builder`, or a config of one's own: `--config='{"name": "mine", "policy": "random"}'`.

    Attributes:
        policy: "blocked" (whole blocks), "random" (by location) or "report" (by image; its lists if there).
        seed: Another seed is another split; None leaves it to the build, as $GEODS_SPLIT_SEED overrides it.
    """

    policy: splits.Policy = "blocked"
    seed: int | None = None

    def __post_init__(self) -> None:
        """Checks name, policy and seed."""
        with tfds_command.without_traceback():
            if self.policy not in dataset_folder.CONFIGS:
                problem = f"policy={self.policy!r}: is not blocked, random or report."
                raise errors.OptionError(problem, "name one of the three")
            if not _NAME.fullmatch(str(self.name)):
                problem = f"name={self.name!r}: is no name of a folder."
                raise errors.OptionError(problem, "name the config with letters, digits, '_', '-' and '.'")
            if self.seed is not None and type(self.seed) is not int:
                raise errors.OptionError(f"seed={self.seed!r}: is not a whole number.", 'write it as "seed": 7')

    @property
    def flag(self) -> str:
        """Flag of tfds build for this config."""
        return dataset_folder.config_flag(self.name, self.policy, self.seed)


class _Info(tfds.core.DatasetInfo):
    """Description of the dataset; for the tfds command the summary of its build."""

    summary = ""

    def __repr__(self) -> str:
        return self.summary or super().__repr__()


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
    _plan_summary = ""

    def __init__(self, *, data_dir: Any = None, file_format: Any = None, **kwargs: Any) -> None:  # noqa: ANN401 - as the base class
        """Opens the dataset, if it exists; a `data_dir` that is a URL is downloaded."""
        with tfds_command.without_traceback():
            self._format = record_files.format_of(file_format)
            self._places = tfds_command.RemoteDirs(data_dir)
            super().__init__(data_dir=self._places.data_dir, **kwargs)
        # TFDS 4.9.10 forgets the format in the processes of --num_processes.
        self._original_state["file_format"] = file_format
        if self._format and not self.info.initialized:
            self.info.set_file_format(self._format, override=True)
        self._note_rule()

    def download_and_prepare(self, **kwargs: Any) -> None:  # noqa: ANN401 - whatever the base class takes
        """Builds the dataset, unless it exists.

        One that exists must have been built of the same images and partition, in the same format.

        Raises:
            GeodsError: If the tree, its partition or an image cannot be used, the dataset there is of another tree,
                another process builds it, the disk cannot hold it, or a bucket cannot be used.
        """
        started_s = time.monotonic()
        with tfds_command.without_traceback(), self._places.at_work(kwargs) as given, self._alone():
            self._format = record_files.format_of(given.get("file_format")) or self._format
            try:
                self.check_unchanged(given.get("download_config"))
                if self._before and not self.data_path.exists():
                    files.write_json(self._rule_note, dataclasses.asdict(self._before))
                super().download_and_prepare(**given)
                self._rule_note.unlink(missing_ok=True)
            except Exception as error:
                _sweep(self.data_path, epath.Path(self._data_dir_root))
                if isinstance(error, errors.GeodsError):
                    raise
                if refusal := disk_errors.as_disk_error(self.data_path, error, self._size_bytes):
                    raise refusal from error
                raise
        self._report(time.monotonic() - started_s)

    def check_unchanged(self, download_config: tfds.download.DownloadConfig | None) -> None:
        """Checks that a dataset, if it exists, is the one to build; TFDS would reuse any.

        Args:
            download_config: As of `download_and_prepare`.

        Raises:
            DatasetError: If the dataset there is damaged or made of other images, another partition, split or cap, or
                in another format.
            OptionError: If the cap is below 1.
        """
        config = download_config or tfds.download.DownloadConfig()
        if config.max_examples_per_split is not None and config.max_examples_per_split < 1:
            problem = f"--max_examples_per_split={config.max_examples_per_split}: a split of nothing cannot be written."
            raise errors.OptionError(problem, "give at least 1; python -m tools.check_tree --tree=TREE checks a tree")
        if config.max_shard_size < 1:
            problem = f"--max_shard_size_mb={config.max_shard_size >> 20}: a shard of nothing cannot be written."
            raise errors.OptionError(problem, "give megabytes, such as --max_shard_size_mb=256")
        if config.download_mode.overwrite_dataset:
            return
        dataset_folder.check_undamaged(pathlib.Path(self.data_dir))
        if not self.is_prepared():
            if config.download_mode == tfds.download.GenerateMode.UPDATE_DATASET_INFO:
                problem = f"{self.data_path}: there is no dataset whose description could be updated."
                raise errors.DatasetError(problem, f"build it: {self._build_command(config.manual_dir or 'TREE')}")
            return
        if not self.info.initialized:
            # Another process has built it since this builder was made; TFDS 4.9.10 would go on without what is known.
            self.info.read_from_directory(self.data_dir)
        if config.download_mode != tfds.download.GenerateMode.UPDATE_DATASET_INFO:
            self._check_same(config)

    def _check_same(self, given: tfds.download.DownloadConfig) -> None:
        """Checks that an existing dataset has the sources and the format that are given."""
        root, there = given.manual_dir or "TREE", self.info.file_format.value
        command = self._build_command(root, "--overwrite", *self._flags_of(given))
        if self._format and self._format != there:
            raise errors.DatasetError(f"{self.data_path}: is built of {there}, not {self._format} files.", command)
        if not given.manual_dir:
            return
        config, tree = self.builder_config, companions.TreeFolder(pathlib.Path(root))
        rule = splits.Request.from_environment(config.policy, config.seed).filled(
            lineage.rule_in(self.info.metadata) or splits.Rule(config.policy)
        )
        policy = bad_images.Policy.from_environment()
        now = build_plan.sources_now(tree, rule, policy, given.max_examples_per_split)
        if changes := lineage.changes_since(pathlib.Path(self.data_dir), self.info.metadata, now):
            kinds = " and ".join(dict.fromkeys(line.split()[0].rstrip(":") for line in changes))
            problem = f"{self.data_path}: was built with other {kinds} than {root} has now:"
            if kinds == "cap":
                problem = f"{self.data_path}: was built with another cap:"
            raise errors.DatasetError("\n".join([problem, *(f"  {line}" for line in changes)]), command)

    def _flags_of(self, given: tfds.download.DownloadConfig) -> list[str]:
        """Returns the flags that a command must repeat to build the same."""
        values = {
            "--file_format": self._format or (self.info.file_format.value if self.info.initialized else None),
            "--max_examples_per_split": given.max_examples_per_split,
        }
        return [f"{flag}={value}" for flag, value in values.items() if value not in (None, record_files.FORMATS[0])]

    def _build_command(self, root: Any, *more: str) -> str:  # noqa: ANN401 - a path
        """Returns the command that builds this dataset of a tree."""
        words = [dataset_folder.build_command(), *more, self.builder_config.flag, f"--manual_dir={root}"]
        return " ".join([*words, f"--data_dir={self._data_dir_root}"])

    def _report(self, seconds: float) -> None:
        """Prints what was built; the tfds command does so itself."""
        data = f"--data_dir={self._data_dir_root} --config={self.builder_config.name}"
        extract = f"python -m trainers.extract --recipe=features/textures {data} --cache_dir=cache"
        text = f"{self.info.full_name}: {self._plan_summary or 'is there already, built of the same'}\n"
        text += f"  {seconds:.1f} s, in {self.data_path}\n{program.next_line(extract)}"
        text = text.rstrip("\n")
        if tfds_command.is_brief():
            self.info.summary = text.rstrip()
        else:
            print(text)

    def _log_download_bytes(self) -> None:
        if not program.is_quiet():
            super()._log_download_bytes()

    def _log_download_done(self) -> None:
        if not program.is_quiet():
            super()._log_download_done()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Locks the config, and removes the leftovers of killed builds."""
        folder = pathlib.Path(self.data_path).parent
        # Not in the folder: a build that fails removes it.
        mine = pathlib.Path(self._data_dir_root, f".{self.name}-{folder.name}.lock")
        with locks.folder(folder, errors.DatasetError, "give another --data_dir", mine):
            lefts = list(folder.glob("incomplete.*"))
            # Builds of all configs write there, for a moment.
            if not any(locks.is_held(lock) for lock in mine.parent.glob(f".{self.name}-*.lock") if lock != mine):
                lefts += (folder.parent / ".config").glob("incomplete.*")
            for left in lefts:
                files.discard(left)
            yield

    def _create_builder_config(self, builder_config: Any, version: Any) -> Any:  # noqa: ANN401 - the base class's own
        """Returns the config, or says which there are."""
        known = {config.name: config for config in self.BUILDER_CONFIGS}
        name = (
            builder_config.split(":")[0] if isinstance(builder_config, str) else getattr(builder_config, "name", None)
        )
        is_other = not isinstance(builder_config, str) and known.get(name, builder_config) is not builder_config
        if is_other or (isinstance(builder_config, str) and name not in known):
            problem = f"config {name!r}: is not one of {', '.join(known)}."
            own = dataset_folder.config_flag("mine", "random", 7)
            step = f"write {', '.join(f'--config={name}' for name in known)}, or one of your own: {own}"
            if is_other:
                problem, step = f"config {name!r}: is one of geods' own.", "give yours another name"
            raise errors.DatasetError(problem, step)
        return super()._create_builder_config(builder_config, version)

    def _info(self) -> tfds.core.DatasetInfo:
        """Returns the features of the dataset.

        The names of the cells follow from the partition when the dataset is built.
        """
        texts = self.get_metadata()
        info = _Info(
            builder=self,
            description=texts.description,
            citation=texts.citation,
            features=examples.features(),
            metadata=tfds.core.MetadataDict(),
        )
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
        at_most = download_config.max_examples_per_split
        if not (flags := jobs.flags_of_config(download_config)):
            plan = self._plan(dl_manager, jpeg.checked, at_most)
            return self._write(plan, download_config, sealing, None)
        with jobs.workers(flags, self.data_path) as workers:
            plan = self._plan(dl_manager, functools.partial(build_plan.check_files, workers=workers), at_most)
            return self._write(plan, download_config, sealing, workers)

    def _write(
        self,
        plan: build_plan.Plan,
        download_config: tfds.download.DownloadConfig,
        sealing: seals.ChecksumWriter,
        workers: jobs.Workers | None,
    ) -> Sequence[tfds.core.SplitInfo]:
        """Writes the shards of a plan."""
        templates = {name: self._get_filename_template(split_name=name) for name in plan.by_split}
        config = download_config.get_shard_config()
        return shards.write(plan, templates, config, self.info.file_format, workers, sealing.begin)

    def _plan(
        self, dl_manager: tfds.download.DownloadManager, check: build_plan.Check, at_most: int | None
    ) -> build_plan.Plan:
        """Reads and checks the whole tree and notes the lineage of the dataset."""
        tree = companions.TreeFolder(_manual_dir(dl_manager))
        plan = build_plan.make(tree, self._request(), bad_images.Policy.from_environment(), check, at_most)
        examples.name_cells(self.info.features, plan.cell_count)
        self.info.metadata.update(plan.metadata)
        rows = [some.rows() for some in plan.by_split.values()]
        self._size_bytes = int(plan.facts.sizes_bytes[np.concatenate(rows)].sum())
        disk_errors.check_room(self.data_path, self._size_bytes)
        checksums.write(self.data_path / checksums.NAME, plan.sources.images)
        self._plan_summary = plan.summary
        return plan

    def _note_rule(self) -> None:
        """Notes the rule of an existing dataset, for when it is built again."""
        # TFDS builds in another folder, so that the path is asked for here.
        path = str(self.data_path)
        # Of a dataset that was deleted to be built again, by a build that failed or was killed.
        self._rule_note = pathlib.Path(self._data_dir_root, f".{self.name}-{self.data_path.parent.name}.split.json")
        rule = lineage.rule_in(self.info.metadata or {})
        if not rule and self._rule_note.is_file():
            rule = lineage.rule_in({"sources": files.parse_json(self._rule_note.read_bytes())})
        if rule:
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
            splits_of = self._splits_written(dl_manager, download_config, sealing)
            self.info.set_splits(tfds.core.splits.SplitDict(splits_of))
            # TFDS writes the same once more after this; in a folder that is renamed, the seal must already be there.
            self.info.download_size = dl_manager.downloaded_size
            self.info.write_to_directory(self.data_dir)
            sealing.write([path.name for path in folder.iterdir() if path.is_file()])

    def _update_dataset_info(self) -> None:
        """Writes descriptions again, which `tfds build --update_metadata_only` asks for."""
        super()._update_dataset_info()
        seals.renew(pathlib.Path(self.data_dir), [dataset_folder.INFO, dataset_folder.METADATA])


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
        command = f"{dataset_folder.build_command()} --manual_dir=TREE --data_dir=DIR"
        raise errors.MissingFileError(problem, f"give the imagery tree: {command}") from error


def _check_published(builder: Any, publish_dir: Any, download_config: Any) -> None:  # noqa: ANN401 - TFDS' own
    """Checks that a published dataset is of the same sources as the one to build."""
    if isinstance(builder, Builder):
        published = Builder(data_dir=publish_dir, config=builder.builder_config, file_format=builder._format or None)
        published.check_unchanged(download_config)
        if published.is_prepared() and tfds_command.is_brief():
            print(f"{published.info.full_name}: is published already, built of the same, in {published.data_path}")


tfds_command.adapt(_check_published)
