"""The notebook is made of its source, and runs from start to end."""

import importlib.util
import json

import checkout
import road

DOCS = checkout.REPO / "docs"


def test_the_notebook_is_made_of_its_source():
    spec = importlib.util.spec_from_file_location("make_notebook", DOCS / "make_notebook.py")
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    made = "python docs/make_notebook.py makes it again"
    assert (DOCS / "colab.ipynb").read_text(encoding="utf-8") == maker.notebook(), made


def test_every_cell_runs_a_killed_training_resumes_and_the_map_is_inside(tmp_path, monkeypatch):
    for name in ("GEODS_NOTEBOOK", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    done = tmp_path / "done.ipynb"
    road.program("tests.support.programs.run_notebook", done)
    cells = [cell for cell in json.loads(done.read_text())["cells"] if cell["cell_type"] == "code"]
    printed = ["".join("".join(out.get("text", "")) for out in cell["outputs"]) for cell in cells]
    assert "epoch 3/" in printed[-4]
    assert "epoch 5/" not in printed[-4]
    assert "resumes after epoch" in printed[-3]
    assert "epoch 5/5" in printed[-3]
    assert "mean miles" in printed[-2]
    assert "<iframe srcdoc=" in "".join(cells[-1]["outputs"][-1]["data"]["text/html"])
    assert (tmp_path / "GEODS_NOTEBOOK" / "runs" / "demo" / "metrics.json").is_file()
