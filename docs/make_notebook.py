"""Makes docs/colab.ipynb of docs/colab.py, whose cells begin with "# %%".

python docs/make_notebook.py
"""

import json
import pathlib

SOURCE = pathlib.Path(__file__).with_name("colab.py")
_MARK, _TEXT = "# %%", " [markdown]"


def notebook() -> str:
    """Returns the notebook as JSON, without outputs."""
    cells = []
    for number, part in enumerate(SOURCE.read_text(encoding="utf-8").split(_MARK)[1:]):
        is_text = part.startswith(_TEXT)
        lines = part.removeprefix(_TEXT).strip().splitlines()
        if is_text:
            lines = [line.removeprefix("#").removeprefix(" ") for line in lines]
        source = [f"{line}\n" for line in lines[:-1]] + lines[-1:]
        own = {} if is_text else {"execution_count": None, "outputs": []}
        kind = "markdown" if is_text else "code"
        cells.append({"cell_type": kind, "id": f"cell{number}", "metadata": {}, "source": source, **own})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SOURCE.with_suffix(".ipynb").write_text(notebook(), encoding="utf-8")
