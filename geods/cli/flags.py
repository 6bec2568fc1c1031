"""Programs from option dataclasses.

Every field is a flag, every flag file is an options object.

A program declares its options once:

    @dataclasses.dataclass(frozen=True)
    class Options:
        out: str = flags.option("partition.geojson", "File to write.", path="out")
        images: tuple[str, ...] = flags.positional("IMAGE", "Images or folders to read.", path="in")

    if __name__ == "__main__":
        program.run(Options, main)

`run` defines the absl flags, builds the dataclass (whose `__post_init__` checks the values) and calls the function with
it. Nothing below a program ever reads FLAGS. What is declared as a path may be a URL (geods/remote/): the function gets
the path of its local copy, what is printed names the URL, and so does a flag file that is written.

A program with many flags nests a dataclass for each stage of its work, and a function takes the stage it needs. The
flags are those of all stages, each under its own name:

    @dataclasses.dataclass(frozen=True)
    class TrainOptions:
        data: DataOptions = dataclasses.field(default_factory=DataOptions)
        head: HeadOptions = dataclasses.field(default_factory=HeadOptions)

    settings = flags.build(TrainOptions, data_dir="data", dropout=0.2)
    settings.head.dropout
"""

import dataclasses
import math
import os
import pathlib
import re
import types
import typing
from collections.abc import Sequence
from typing import Any, TypeVar

from absl import flags

from geods import errors
from geods.remote import urls
from geods.storage import files

Options = TypeVar("Options")

# --help lists the flags of the program's own module; without this, absl takes this module for their owner.
flags.disclaim_key_flags()

# Words that stand for weights, where a path may stand.
_NO_PATHS = ("", "imagenet", "random")
_INCLUDES = re.compile(r"^\s*--?flagfile\b", re.MULTILINE)


def option(default: Any, help_text: str, path: str = "", unless: str = "", repeated: bool = False) -> Any:  # noqa: ANN401 - typed by the field it stands for, as dataclasses.field
    """Declares a dataclass field that is a flag of the same name.

    Args:
        default: The value without the flag. Its field's annotation gives the type: str, int, float, bool,
            Literal[...] (an enumeration), tuple[str, ...] or tuple[int, ...] (comma-separated), each also `| None`.
        help_text: One line for --help, with the unit.
        path: Of a file or folder, what is done with it: "in" (read), "out" (written to), "may" (read, and in some
            cases written to) or "local" (must be of this machine).
        unless: Name of another option that, if it is given, takes what is written, so that this path is only read.
        repeated: Whether the flag of a tuple[str, ...] is given once for each value, which may then hold commas.
    """
    metadata = {"help": help_text, "path": path, "unless": unless, "repeated": repeated}
    return dataclasses.field(default=default, metadata=metadata)


def positional(name: str, help_text: str, path: str = "") -> Any:  # noqa: ANN401 - as option
    """Declares the field that takes the words after the flags, as tuple[str, ...]."""
    return dataclasses.field(default=(), metadata={"help": help_text, "positional": name, "path": path})


def build(options_class: type[Options], **values: Any) -> Options:  # noqa: ANN401 - one for each flag
    """Builds options from values by flag name, whichever stage a flag belongs to.

    The others take their defaults.
    """
    for name, stage in _stages(options_class).items():
        values[name] = build(
            stage, **{leaf.name: values.pop(leaf.name) for leaf in leaves(stage) if leaf.name in values}
        )
    return options_class(**values)


def values_of(options: Any) -> dict[str, Any]:  # noqa: ANN401 - any options dataclass
    """Returns the value of every flag by name."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        values |= values_of(value) if dataclasses.is_dataclass(value) else {field.name: value}
    return values


def replace(options: Options, **changes: Any) -> Options:  # noqa: ANN401
    """Returns options with other values for some flags."""
    return build(type(options), **(values_of(options) | changes))


def with_absolute_paths(options: Options) -> Options:
    """Returns options with full paths of the files and folders that exist."""
    values, full = values_of(options), {}
    for field in leaves(type(options)):
        value = values[field.name]
        if field.metadata.get("path"):
            paths = [_absolute(path) for path in (value if isinstance(value, tuple) else (value,))]
            full[field.name] = tuple(paths) if isinstance(value, tuple) else paths[0]
    return replace(options, **full) if full else options


def _absolute(value: Any) -> Any:  # noqa: ANN401 - the value of a path option
    is_path = isinstance(value, str) and value not in _NO_PATHS and pathlib.Path(value).exists()
    return str(pathlib.Path(value).absolute()) if is_path else value


def leaves(options_class: type) -> list[dataclasses.Field[Any]]:
    """Returns the flags and positional fields of a dataclass and of its stages."""
    stages, found = _stages(options_class), []
    for field in dataclasses.fields(options_class):
        found += leaves(stages[field.name]) if field.name in stages else [field]
    return found


def define(options_class: type, values: flags.FlagValues) -> None:
    """Defines one absl flag for each field of `options_class` that is not positional."""
    for field in _flag_fields(options_class):
        help_text = field.metadata["help"]
        if field.metadata.get("repeated"):
            default: Any = field.default
            flags.DEFINE_multi_string(field.name, list(default), help_text, flag_values=values)
        else:
            _define_one(field.name, field.type, field.default, help_text, values)


def from_flags(options_class: type[Options], values: flags.FlagValues, words: Sequence[str] = ()) -> Options:
    """Builds the options from parsed flags and the words after them.

    Raises:
        OptionError: If there are words and the program takes none, a value is NaN, or the dataclass refuses one.
    """
    arguments: dict[str, Any] = {}
    for field in _flag_fields(options_class):
        value = values[field.name].value
        # NaN is neither below nor above any limit, so that few checks of ranges would see it.
        if isinstance(value, float) and math.isnan(value):
            raise errors.OptionError(f"--{field.name}=nan: is not a number.", "give a number; see --help")
        arguments[field.name] = tuple(value) if isinstance(value, list) else value
    names = [field.name for field in leaves(options_class) if "positional" in field.metadata]
    if names:
        arguments[names[0]] = tuple(words)
    elif words:
        raise errors.OptionError(f"unexpected words: {' '.join(words)}.", "write options as --name=value; see --help")
    return build(options_class, **arguments)


def to_flagfile(options: Any) -> str:  # noqa: ANN401 - any options dataclass
    """Returns the options as the text of an absl flag file, one flag a line.

    None values are left out.

    The path of a local copy becomes its URL, so that the file means the same on another machine.
    """
    lines, values = [], values_of(options)
    for field in _flag_fields(type(options)):
        value = values[field.name]
        if field.metadata.get("repeated"):
            lines += [f"--{field.name}={item}" for item in value]
        elif isinstance(value, bool):
            lines.append(f"--{field.name}={str(value).lower()}")
        elif value is not None:
            lines.append(f"--{field.name}={','.join(map(str, value)) if isinstance(value, tuple) else value}")
    return urls.with_urls("\n".join(lines) + "\n")


def from_flagfile(options_class: type[Options], path: str | os.PathLike[str], *more: str) -> Options:
    """Reads a flag file of `to_flagfile`, or another that includes none.

    Args:
        options_class: Dataclass to make.
        path: The flag file.
        more: Further flags, such as "--seed=1", which count where the file says otherwise.

    Raises:
        MissingFileError: If `path` is not a file.
        OptionError: If it holds a flag or value that `options_class` does not take.
    """
    files.check_file(path, "name a flag file, such as the flags.cfg of a run folder")
    try:
        # The flag file of a run that somebody else made could name any file of this machine.
        if _INCLUDES.search(pathlib.Path(path).read_text(encoding="utf-8")):
            raise errors.OptionError(f"{path}: includes another flag file.", "write the flags of that into it")
    except UnicodeDecodeError as error:
        raise errors.OptionError(f"{path}: {error}.", "correct that line; --help lists the flags") from error
    return from_words(options_class, [f"--flagfile={path}", *more])


def from_words(options_class: type[Options], words: Sequence[str]) -> Options:
    """Returns the options that a command line gives, without the program's name.

    Raises:
        OptionError: If it holds a flag or value that `options_class` does not take.
    """
    values = flags.FlagValues()
    define(options_class, values)
    flags.DEFINE_multi_string("flagfile", [], "", flag_values=values)
    try:
        rest = values(["", *words])[1:]
    except flags.Error as error:
        first = words[0].removeprefix("--flagfile=") if words else "no flag"
        raise errors.OptionError(f"{first}: {error}.", "correct that line; --help lists the flags") from error
    return from_flags(options_class, values, rest)


def check_at_least(options: object, least: float, names: tuple[str, ...]) -> None:
    """Raises OptionError if one of the named options is below `least`."""
    for name in names:
        value = getattr(options, name)
        if not value >= least:
            raise errors.OptionError(f"--{name}={value}: must be at least {least:g}.", "give a larger number")


def check_given(options: object, **next_steps: str) -> None:
    """Raises OptionError, with its next step, if one of the named options is empty."""
    for name, next_step in next_steps.items():
        if not getattr(options, name):
            raise errors.OptionError(f"--{name}: is empty.", next_step)


def _flag_fields(options_class: type) -> list[dataclasses.Field[Any]]:
    return [field for field in leaves(options_class) if "positional" not in field.metadata]


def _stages(options_class: type) -> dict[str, type]:
    """Returns the classes of the nested options by field."""
    makers: dict[str, Any] = {field.name: field.default_factory for field in dataclasses.fields(options_class)}
    return {name: maker for name, maker in makers.items() if isinstance(maker, type)}


def _define_one(name: str, annotation: Any, default: Any, help_text: str, values: flags.FlagValues) -> None:  # noqa: ANN401
    """Defines the absl flag that fits a field's annotation."""
    annotation = _without_none(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        flags.DEFINE_enum(name, default, list(arguments), help_text, flag_values=values)
    elif origin is tuple:
        _define_list(name, arguments[0], default, help_text, values)
    else:
        define_scalar = {
            bool: flags.DEFINE_bool,
            int: flags.DEFINE_integer,
            float: flags.DEFINE_float,
            str: flags.DEFINE_string,
        }[annotation]
        define_scalar(name, default, help_text, flag_values=values)


def _define_list(name: str, item: type, default: Any, help_text: str, values: flags.FlagValues) -> None:  # noqa: ANN401
    """Defines a comma-separated flag of strings or integers."""
    parser: flags.ArgumentParser[Any] = flags.ListParser() if item is str else _IntegerListParser()
    serializer: flags.ArgumentSerializer[Any] = flags.CsvListSerializer(",")
    flags.DEFINE(parser, name, list(default), help_text, flag_values=values, serializer=serializer)


class _IntegerListParser(flags.ListParser):
    """Comma-separated integers."""

    def parse(self, argument: str | list[int]) -> list[int]:
        """Returns the integers, or raises ValueError naming the text."""
        if isinstance(argument, list):
            return argument
        words = super().parse(argument)
        try:
            return [int(word) for word in words]
        except ValueError:
            raise ValueError("must be whole numbers with commas between, such as 0,90,180") from None


def _without_none(annotation: Any) -> Any:  # noqa: ANN401
    """Returns the X of `X | None`."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return next(part for part in typing.get_args(annotation) if part is not type(None))
    return annotation
