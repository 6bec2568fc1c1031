"""The demo: its commands, a failing step, and one miniature run of all steps."""

import importlib
import json
import os
import pathlib
import subprocess
import types

import checkout
import pytest
import starts
from absl import flags

from geods import errors
from geods.cli import flags as cli_flags
from tools import demo, report, steps

PROGRAMS = {
    "tools.make_partition": "tools.make_partition",
    "tools.scrape": "tools.scrape",
    "tools.render": "tools.render",
    "tools.simulate_tree": "tools.simulate_tree",
    "tools.convert_tree": "tools.convert_tree",
    "tools.build_dataset": "tools.build_dataset",
    "trainers.extract": "trainers.options.extract_options:ExtractOptions",
    "trainers.train": "trainers.options.train_options:TrainOptions",
    "trainers.evaluate": "trainers.options.evaluate_options:EvaluateOptions",
}


def run(*arguments: str) -> subprocess.CompletedProcess:
    return starts.ended(starts.HEAVY, ["tools.demo", *arguments], dict(os.environ))


def parsed(step: steps.Step) -> types.SimpleNamespace:
    """The options that a step's program makes of its arguments."""
    module, _, name = PROGRAMS[step.arguments[1]].partition(":")
    options_class = getattr(importlib.import_module(module), name or "Options")
    values = flags.FlagValues()
    flags.DEFINE_multi_string("flagfile", [], "", flag_values=values)
    cli_flags.define(options_class, values)
    served = ["--api_base=http://127.0.0.1:1"] if step.scrapes else []
    options = cli_flags.from_flags(options_class, values, values(["program", *step.arguments[2:], *served])[1:])
    return types.SimpleNamespace(**cli_flags.values_of(options))


@pytest.fixture
def road(monkeypatch) -> list[steps.Step]:
    monkeypatch.chdir(checkout.REPO)
    return demo.road(demo.Options())


def test_the_whole_road_is_run_in_order(road):
    assert [step.arguments[1] for step in road] == [
        "tools.make_partition",
        "tools.scrape",
        "tools.build_dataset",
        "trainers.extract",
        "trainers.train",
        "trainers.evaluate",
        "tools.render",
    ]


def test_every_program_takes_its_arguments_and_reads_what_the_one_before_wrote(road):
    cells, tree, build, extract, train, evaluate, render = map(parsed, road)
    assert tree.partition == cells.out
    assert build.manual_dir == tree.out
    assert build.data_dir == extract.data_dir
    assert train.cache_dir == (extract.cache_dir,)
    assert train.data_dir == extract.data_dir
    assert train.overwrite
    assert (extract.height_px, extract.width_px) == (tree.height_px, tree.width_px)
    assert extract.backbone_weights == "random"
    assert train.run_dir == evaluate.run_dir == render.run_dir


def test_the_shown_commands_can_be_typed_in_the_project_root(road):
    assert " tools.build_dataset --config=blocked --manual_dir=demo/tree " in road[2].command
    assert "--flagfile=trainers/recipes/demo.cfg" in road[4].command
    assert not any(str(checkout.REPO) in argument for step in road for argument in step.arguments)


def test_the_report_s_programs_take_their_arguments(monkeypatch):
    monkeypatch.chdir(checkout.REPO)
    road = report.road(report.Options())
    begin = ["tools.make_partition", "tools.simulate_tree", "tools.convert_tree", "tools.render"]
    assert [step.arguments[1] for step in road[:4]] == begin
    for step in road:
        assert parsed(step)
    trained = [parsed(step) for step in road if step.arguments[1] == "trainers.train"]
    assert [pathlib.Path(one.run_dir).name for one in trained] == list(report.Options().recipes)
    assert {(one.config, one.validation_split, one.epochs) for one in trained} == {("report", "", 5)}
    assert [one.schedule for one in trained] == ["chunked"] * 4 + ["plain"] * 2


def test_epochs_are_the_recipe_s_unless_given():
    assert parsed(demo.road(demo.Options(epochs=2))[4]).epochs == 2
    assert not any("--epochs" in argument for argument in demo.road(demo.Options())[4].arguments)


def test_an_empty_folder_name_is_refused():
    with pytest.raises(errors.OptionError, match="--out: is empty"):
        demo.Options(out="")


def test_a_failing_step_ends_the_demo_with_its_code_and_the_command_to_repeat(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    done = run(f"--out={blocked}")
    assert done.returncode == 2
    assert "[1/7]" in done.stdout
    assert "[2/7]" not in done.stdout
    assert "step 1, cells over a coarse outline of the US, ended with code 2" in done.stderr
    assert f"-m tools.make_partition --boundary=demo --out={blocked}/partition.geojson" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_step_ended_by_a_signal_gives_the_shell_s_code():
    step = steps.Step("a thing", ("-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    with pytest.raises(SystemExit) as ended:
        steps._run(step, 1, "tools.demo", pytest.fail)
    assert ended.value.code == 128 + 9


def test_a_miniature_demo_ends_with_the_table_and_the_map(tmp_path):
    out = tmp_path / "demo"
    done = run(f"--out={out}", "--cell_deg=10", "--locations_per_cell=5", "--epochs=2")
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = json.loads((out / "run" / "metrics.json").read_text())
    assert metrics["locations"] > 0
    assert metrics["mean_miles"] > 0
    assert (out / "run" / "map.html").stat().st_size > 10_000
    assert (out / "run" / "map.png").exists()
    assert "GOOGLE_MAPS_API_KEY=simulated-street-view-demo-key " in done.stdout
    assert "tools.simulated_street_view --port=0" in done.stdout
    last = done.stdout[done.stdout.index("s  in all") :]
    assert "mean miles" in last
    play = f"python -m tools.play --run_dir={out / 'run'}"
    assert last.rstrip().endswith(f"open {out / 'run' / 'map.html'}\nplay against it: {play}")
