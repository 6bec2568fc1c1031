"""Views of predicted locations, from their tree or the run's dataset.

source = view_source.open_source("runs/mlp")
source.views("39.7392,-104.9903")    # list of thumbnails.View, empty if they are not there
"""

import dataclasses
import math
import pathlib
import re
from collections.abc import Callable

from geods.dataset import record_files, splits
from geods.remote import session, urls
from geods.tree import layouts
from trainers.options import evaluate_options
from trainers.plots import thumbnails
from trainers.runs import run_folder

# Rows of single images are named <location_id>+<heading>, or +view<number>.
_OF_VIEW = re.compile(r"(.*)\+(view)?([\d.]+)")


@dataclasses.dataclass(frozen=True)
class Source:
    """Views by the names of rows in predictions.csv.

    Attributes:
        name: Tree or data_dir, for messages.
        location: Returns all views of a location by its id, and its row if that is known; KeyError if it is not there.
    """

    name: str
    location: Callable[[str, int], list[thumbnails.View]]

    def views(self, name: str, row: int = -1) -> list[thumbnails.View]:
        """Returns the views that a prediction was made from; empty if they are not there.

        Args:
            name: Its location_id in predictions.csv.
            row: Its row there, with which a dataset is read faster.
        """
        try:
            return self.location(name, row)
        except KeyError:
            pass
        try:
            found = self.location(location_of(name), -1)
            return [found[_number(name, found)]]
        except (KeyError, IndexError):
            return []


def location_of(name: str) -> str:
    """Returns the location of a row of predictions.csv, also of a single image."""
    of_view = _OF_VIEW.fullmatch(name)
    return of_view[1] if of_view else name


def open_source(run_dir: str, predictions: str = "", imagery: str = "", data_dir: str = "") -> Source:
    """Opens the images of a run's predictions.

    Args:
        run_dir: The run folder.
        predictions: Folder of the predictions, if not the run folder.
        imagery: Tree to take the images from; that or the split of the evaluation if not given.
        data_dir: Where the run's dataset is now, if it was moved.

    Raises:
        TreeError: If there is no such tree.
        RunError: If the run's dataset is missing, or metrics.json damaged.
        DatasetError: If it is damaged.
    """
    tree, split = evaluated_on(predictions or run_dir)
    if tree := imagery or tree:
        table = layouts.read(session.local_path(tree))
        rows = {name: row for row, name in enumerate(table.ids)}
        return Source(tree, lambda name, _: [thumbnails.of_file(view) for view in table[rows[name]].views])
    moved = evaluate_options.LocationOptions(data_dir=data_dir, from_images=True)
    data = run_folder.data_of(pathlib.Path(run_dir), moved)
    records = record_files.LocationRecords(run_folder.dataset_of(data), data.config, _splits_in(split))
    return Source(urls.with_urls(data.data_dir), lambda name, row: _of_record(name, records.find(name, row)))


def evaluated_on(folder: str) -> tuple[str, str]:
    """Returns the tree and the split that predictions are of, one of them empty.

    Args:
        folder: Of the predictions; both are empty if it does not say it.

    Raises:
        RunError: If its metrics.json is damaged.
    """
    on = str(run_folder.read_metrics(pathlib.Path(folder)).get("on", ""))
    return ("", on) if all(name in splits.NAMES for name in _splits_in(on)) else (on, "")


def _splits_in(split: str) -> list[str]:
    """Returns the names in a split such as "train[:10%]+test"."""
    return [part.partition("[")[0] for part in split.split("+") if part]


def _of_record(location_id: str, record: dict[str, list]) -> list[thumbnails.View]:
    columns = (record[f"views/{name}"] for name in ("image", "heading", "date"))
    return [
        thumbnails.View(jpeg, f"a view of {location_id}", None if math.isnan(heading) else heading, date.decode())
        for jpeg, heading, date in zip(*columns, strict=True)
    ]


def _number(name: str, views: list[thumbnails.View]) -> int:
    """Returns the number of the view that a row of a single image is of.

    Raises:
        KeyError: If no view has its heading.
    """
    of_view = _OF_VIEW.fullmatch(name)
    if of_view is None:
        raise KeyError(name)
    if of_view[2]:
        return int(of_view[3])
    headings = ["" if view.heading_deg is None else f"{view.heading_deg:g}" for view in views]
    if of_view[3] not in headings:
        raise KeyError(name)
    return headings.index(of_view[3])
