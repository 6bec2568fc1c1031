"""Options from flags and flag files, and answers to mistakes."""

import dataclasses
import pathlib
import subprocess
import sys
from typing import Literal

import checkout
import pytest
from absl import flags
from hypothesis import given
from hypothesis import strategies as st

from geods import errors
from geods.cli import flags as cli_flags
from geods.cli import program as cli_program


@dataclasses.dataclass(frozen=True)
class Options:
    count: int = cli_flags.option(3, "A number.")
    share: float = cli_flags.option(0.5, "A share.")
    name: str = cli_flags.option("x", "A name.")
    absent: str | None = cli_flags.option(None, "Maybe a name.")
    kind: Literal["left", "right"] = cli_flags.option("left", "A side.")
    flag: bool = cli_flags.option(True, "Yes or no.")
    sizes: tuple[int, ...] = cli_flags.option((300, 600), "Sizes.")
    splits: tuple[str, ...] = cli_flags.option(("train", "test"), "Names.")

    def __post_init__(self) -> None:
        if self.count < 0:
            raise errors.OptionError(f"--count={self.count}: must be at least 0.", "give a number of locations")


def parse(*arguments: str, options_class: type = Options) -> Options:
    values = flags.FlagValues()
    cli_flags.define(options_class, values)
    words = values(["program", *arguments])[1:]
    return cli_flags.from_flags(options_class, values, words)


def test_defaults_are_the_dataclass():
    assert parse() == Options()


def test_every_type_is_parsed():
    parsed = parse(
        "--count=4",
        "--share=.25",
        "--name=a=b",
        "--absent=z",
        "--kind=right",
        "--noflag",
        "--sizes=1,2",
        "--splits=a,b",
    )
    assert parsed == Options(4, 0.25, "a=b", "z", "right", False, (1, 2), ("a", "b"))


@pytest.mark.parametrize("wrong", ["--count=x", "--kind=up", "--sizes=1,b", "--flag=maybe"])
def test_wrong_values_are_refused_with_the_flag_named(wrong):
    with pytest.raises(flags.Error, match=wrong.split("=")[0]):
        parse(wrong)


def test_stray_words_are_refused():
    with pytest.raises(errors.OptionError, match="unexpected words: stray"):
        parse("stray")


def test_positional_field_takes_the_words():
    @dataclasses.dataclass(frozen=True)
    class WithWords:
        images: tuple[str, ...] = cli_flags.positional("IMAGE", "Images.")

    assert parse("a.jpg", "b.jpg", options_class=WithWords).images == ("a.jpg", "b.jpg")


names = st.text("abcXYZ019_-./=", max_size=12)


@given(
    options=st.builds(
        Options,
        count=st.integers(0, 10**9),
        share=st.floats(allow_nan=False, allow_infinity=False),
        name=names,
        absent=st.none() | names,
        kind=st.sampled_from(["left", "right"]),
        flag=st.booleans(),
        sizes=st.lists(st.integers(-5, 5), min_size=1).map(tuple),
        splits=st.lists(names.filter(bool), min_size=1).map(tuple),
    )
)
def test_flag_files_give_back_the_same_options(options, tmp_path_factory):
    path = tmp_path_factory.mktemp("flags") / "flags.cfg"
    path.write_text(cli_flags.to_flagfile(options))
    assert cli_flags.from_flagfile(Options, path) == options


def test_flag_file_mistakes_name_the_file(tmp_path):
    with pytest.raises(errors.MissingFileError, match=r"absent\.cfg: does not exist"):
        cli_flags.from_flagfile(Options, tmp_path / "absent.cfg")
    (tmp_path / "wrong.cfg").write_text("--colour=red\n")
    with pytest.raises(errors.OptionError, match=r"wrong\.cfg: .*colour"):
        cli_flags.from_flagfile(Options, tmp_path / "wrong.cfg")


@dataclasses.dataclass(frozen=True)
class Repeatable:
    where: tuple[str, ...] = cli_flags.option((), "Which.", repeated=True)
    name: str = cli_flags.option("x", "A name.")
    flag: bool = cli_flags.option(True, "Yes or no.")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--name=a", "--name=b"], "--name: is given twice, as --name=a and --name=b"),
        (["-name", "a", "word", "--name=a"], "--name: is given twice"),
        (["--flag", "--noflag"], "--flag: is given twice, as --flag and --noflag"),
        (["--where=a", "--where=b", "--name=a", "--flag", "--", "--name=b"], ""),
        (["--flagfile=a", "--flagfile=b", "--name=a", "name", "--absent=1", "--absent=2"], ""),
    ],
)
def test_a_flag_is_given_once_or_refused_by_name(words, problem):
    values = flags.FlagValues()
    cli_flags.define(Repeatable, values)
    flags.DEFINE_multi_string("flagfile", [], "", flag_values=values)
    if not problem:
        cli_program.check_repeated(words, values)
        return
    with pytest.raises(errors.OptionError, match=problem):
        cli_program.check_repeated(words, values)


PROGRAM = """
import dataclasses
import os
import signal
from geods import errors
from geods.cli import flags, program

@dataclasses.dataclass(frozen=True)
class Options:
    mode: str = flags.option("mistake", "What to do.")

def main(options):
    if options.mode == "mistake":
        raise errors.BoundaryError("a.zip: has no polygon.", "name a file of areas")
    if options.mode == "interrupt":
        raise KeyboardInterrupt
    if options.mode == "swallow":
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise ValueError("None values not supported.") from None
    if options.mode == "keep":
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            program.check_uninterrupted()
    if options.mode == "bug":
        raise ZeroDivisionError("a bug")
    print("done")

if __name__ == "__main__":
    program.run(Options, main)
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "program.py"
    path.write_text(PROGRAM)

    def start(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, path, *arguments]
        environment = {"PYTHONPATH": str(checkout.REPO), "PATH": ""}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return start


def test_a_mistake_is_two_lines_and_code_2(program):
    done = program()
    assert done.returncode == 2
    assert done.stderr == "error: a.zip: has no polygon.\nNext: name a file of areas\n"


def test_verbosity_shows_the_traceback_of_a_mistake(program):
    done = program("--verbosity=1")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_bug_keeps_its_traceback(program):
    done = program("--mode=bug")
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize("mode", ["interrupt", "swallow", "keep"])
def test_interrupt_ends_with_130(program, mode):
    done = program(f"--mode={mode}")
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_success_ends_with_0(program):
    done = program("--mode=well")
    assert (done.returncode, done.stdout) == (0, "done\n")


def test_hook_hides_tracebacks_of_mistakes_only():
    for error, hidden in (("errors.TreeError('t: no tree.')", True), ("ValueError('a bug')", False)):
        code = "from geods import errors\nfrom geods.cli import program\nprogram.hide_traceback_of_user_errors()\n"
        code += f"raise {error}"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=checkout.REPO, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert ("Traceback" not in done.stderr) == hidden


def test_a_recipe_is_its_flag_file_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("best", "features/textures"):
        flag, _, path = cli_program._with_local_file(f"--recipe={name}").partition("=")
        assert (flag, pathlib.Path(path).is_file()) == ("--flagfile", True)
    with pytest.raises(errors.OptionError, match=r"--recipe=\.\./setup: there is no such recipe"):
        cli_program._with_local_file("--recipe=../setup")
