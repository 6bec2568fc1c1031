"""Contents of a wheel of geods."""

import subprocess
import sys
import zipfile

import checkout
import pytest


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory) -> list[str]:
    """Names inside a wheel built from a copy of the files a wheel is built of."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=checkout.REPO, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout, so what belongs to it is not known")
    for name in filter(None, listed.stdout.split("\0")):
        # The canary would be found in it, as in all that tests write.
        if name != "tests/support/canary.py" and (checkout.REPO / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((checkout.REPO / name).read_bytes())
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        folder,
        source,
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl"))).namelist()


def test_wheel_holds_the_four_packages_and_nothing_else(wheel_names):
    tops = {name.split("/")[0] for name in wheel_names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"geods", "model", "trainers", "tools"}


@pytest.mark.parametrize(
    "name",
    [
        "geods/README.md",
        "geods/CITATIONS.bib",
        "geods/TAGS.txt",
        "geods/checksums.tsv",
        "geods/py.typed",
        "geods/simulation/worlds.py",
        "trainers/recipes/mlp.cfg",
        "trainers/recipes/features/textures.cfg",
        "trainers/plots/assets/pan_zoom.html",
        "trainers/plots/assets/pan_zoom.js",
        "trainers/serving/assets/play.html",
    ],
)
def test_wheel_holds_the_files_that_are_not_code(wheel_names, name):
    assert name in wheel_names


def test_every_package_is_listed_in_setup(wheel_names):
    for package in ("geods", "model", "trainers", "tools"):
        for path in (checkout.REPO / package).rglob("*.py"):
            assert str(path.relative_to(checkout.REPO)) in wheel_names, f"{path} is in no listed package, or not in git"
