"""Runs docs/colab.ipynb in a smaller world and writes it with its outputs.

python -m tests.support.programs.run_notebook OUT.ipynb
"""

import pathlib
import sys

import nbclient
import nbformat

REPO = pathlib.Path(__file__).parents[3]
_SMALLER = {"LOCATIONS_PER_CELL = 24": "LOCATIONS_PER_CELL = 3", "EPOCHS = 40": "EPOCHS = 5"}


def main() -> None:
    """Runs the notebook in the present folder."""
    content = (REPO / "docs" / "colab.ipynb").read_text(encoding="utf-8")
    for whole, small in _SMALLER.items():
        assert content.count(whole) == 1
        content = content.replace(whole, small)
    notebook = nbformat.reads(content, as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    nbformat.write(notebook, sys.argv[1])


if __name__ == "__main__":
    main()
