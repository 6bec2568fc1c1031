"""Predictions over HTTP, and a page to send photographs.

POST /predict   a JPEG, or the views of one location as multipart/form-data; ?top=5&all_cells=1&map=1
GET  /          the page          GET /health   whether the server answers
GET  /model     facts of the run  GET /map      the run's map page, else its cells as SVG
"""

import asyncio
import dataclasses
import functools
import html
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tornado.httputil

from geods import errors
from geods.imagery.photos import sphere_views
from geods.tree import imagery_tree, jpeg
from trainers.evaluation import answers, calibration, run_predictor
from trainers.plots import projection, svg_map
from trainers.runs import run_folder
from trainers.serving import batching, web

_PAGE = pathlib.Path(__file__).parent / "assets" / "locate.html"
_JPEG_TYPES = ("", "image/jpeg", "image/jpg", "image/pjpeg", "application/octet-stream")
_MOST_VIEWS = 32
_FLAGS = {"1": True, "true": True, "0": False, "false": False}
_CURL = "curl -H 'Content-Type: image/jpeg' --data-binary @photograph.jpg ADDRESS/predict"
_FIGURES = ("locations", "on", "mean_miles", "median_miles", "within_km", "intervals", "constant_guess", "seen")


class Service:
    """A run, its map and its batches.

    Args:
        model: The run.
        most_images: Images the network takes at once.
        most_requests: Requests at once; more are refused.

    Raises:
        RunError: If the run's calibration is damaged.
    """

    def __init__(self, model: run_predictor.RunPredictor, most_images: int, most_requests: int) -> None:
        self.model, self.fitted = model, answers.calibration_of(model)
        self.drawn = svg_map.SvgMap(model.partition, model.partition.centroids)
        # A network's first batches take seconds; the second makes TensorFlow trace it for batches of any size.
        for count in (1, 2):
            shape = (count, count, model.height_px, model.width_px, 3)
            self._predict(np.zeros(shape, np.uint8), np.ones(shape[:2], bool))
        self.batcher = batching.Batcher(self._predict, most_images, most_requests)

    def decode(self, jpegs: Sequence[tuple[str, bytes]]) -> np.ndarray:
        """Returns the views of photographs, uint8 `[v, h, w, 3]`.

        The pixels are those of tools.predict: upright, and of a panorama four views.

        Args:
            jpegs: Name and bytes of each.

        Raises:
            Problem: If one is no JPEG, or cannot be used.
        """
        views = []
        for name, content in jpegs:
            try:
                height_px, width_px = jpeg.check_jpeg(content, name)
            except errors.ImageError as error:
                status = 422 if content.startswith(b"\xff\xd8\xff") else 415
                raise web.Problem(status, error.problem, "send a whole JPEG") from error
            views += list(sphere_views.views_of(content, height_px, width_px)) or [content]
        return np.stack([self.model.decode(view) for view in views])

    def on_map(self, probabilities: np.ndarray, point: np.ndarray) -> dict[str, Any]:
        """Returns the point and the cells of the credible region on the page's map."""
        inside = np.zeros(len(probabilities), bool)
        if self.fitted:
            inside = calibration.region(probabilities[None], self.model.partition.areas_km2, self.fitted)[0]
        place = self.drawn.to_units(self.drawn.atlas.beside(point))[0]
        return {"point": place.tolist(), "region_cells": np.flatnonzero(inside).tolist()}

    @functools.cached_property
    def figures(self) -> dict[str, Any]:
        """Figures of the model's evaluation; empty if it was not evaluated."""
        if self.model.checkpoint:
            return {}
        found = run_folder.read_metrics(self.model.folder, "intervals", "mean_miles", "locations", "on")
        return {name: found[name] for name in _FIGURES if name in found}

    @functools.cached_property
    def facts(self) -> dict[str, Any]:
        """Facts of the run, as in the model card of an export."""
        model = self.model
        return {
            "run": model.folder.resolve().name,
            "cells": len(model.partition),
            "bounds_deg": dict(zip(("lat_min", "lat_max", "lon_min", "lon_max"), model.partition.bounds, strict=True)),
            "image": {"height_px": model.height_px, "width_px": model.width_px},
            "encoder": model.options.encoder.backbone,
            "encoder_licence": run_folder.ENCODER_LICENCE,
            "images_licence": run_folder.images_licence_of(model.options.data) or "not known",
            "figures": self.figures or "not evaluated",
            "region": dataclasses.asdict(self.fitted) if self.fitted else "not calibrated",
            "intended_use": run_folder.INTENDED_USE,
        }

    def _predict(self, images: np.ndarray, mask: np.ndarray) -> batching.Answer:
        return next(self.model.pieces([{"image": images, "view_mask": mask}]))


class _Handler(web.Handler):
    """Handler with the service."""

    def initialize(self, service: Service) -> None:
        self._service = service


class _Predict(_Handler):
    """Handler of POST /predict."""

    async def post(self) -> None:
        """Answers with the prediction of one location."""
        top, all_cells, with_map = self._top(), self._flag("all_cells"), self._flag("map")
        jpegs, service = self._jpegs(), self._service
        counts: list[int] = []

        def images() -> np.ndarray:
            decoded = service.decode(jpegs)
            counts.append(len(decoded))  # four views of a panorama
            return decoded

        row, point = await service.batcher.answer(images)
        name = jpegs[0][0]
        views = (imagery_tree.View(pathlib.Path(name), None, None),) * counts[0]
        location = imagery_tree.Location(name, np.nan, np.nan, None, views)
        probabilities, cells = answers.probabilities_of(row), service.model.partition
        line = answers.line_of(location, probabilities, point, cells, service.fitted, top, all_cells)
        self.reply(line | ({"map": service.on_map(probabilities, point)} if with_map else {}))

    def _jpegs(self) -> list[tuple[str, bytes]]:
        """Returns the names and bytes of the photographs in the body."""
        kind = self.request.headers.get("Content-Type", "")
        name = kind.partition(";")[0].strip().lower()
        if name == "multipart/form-data":
            files: dict[str, list[tornado.httputil.HTTPFile]] = {}
            try:
                tornado.httputil.parse_body_arguments(kind, bytes(self.body), {}, files)
            except tornado.httputil.HTTPInputError as error:
                raise web.Problem(400, f"the form cannot be read ({error}).", f"send one JPEG: {_CURL}") from error
            parts = [one for some in files.values() for one in some]
            found = [(one["filename"][:200] or "photograph.jpg", one["body"]) for one in parts]
        elif name in _JPEG_TYPES:
            found = [("photograph.jpg", bytes(self.body))] if self.body else []
        else:
            raise web.Problem(415, f"Content-Type {kind[:100]!r}: is neither a JPEG nor a form.", _CURL)
        if not 1 <= len(found) <= _MOST_VIEWS:
            problem = f"the request holds {len(found)} photographs, not 1 to {_MOST_VIEWS}."
            raise web.Problem(400, problem, _CURL)
        return found

    def _top(self) -> int:
        text = self.get_query_argument("top", "5")
        if not (text.isascii() and text.isdigit() and int(text[:9]) >= 1):
            raise web.Problem(400, f"top={text[:50]}: is not a whole number from 1 on.", "give top=5")
        return int(text[:9])

    def _flag(self, name: str) -> bool:
        text = self.get_query_argument(name, "0")
        if text not in _FLAGS:
            raise web.Problem(400, f"{name}={text[:50]}: is not 1 or 0.", f"give {name}=1")
        return _FLAGS[text]


class _Health(web.Handler):
    """Handler of GET /health."""

    def get(self) -> None:
        """Answers."""
        self.reply({"status": "ok"})

    head = get


class _Model(_Handler):
    """Handler of GET /model."""

    async def get(self) -> None:
        """Answers with the facts of the run."""
        self.reply(await asyncio.get_running_loop().run_in_executor(None, lambda: self._service.facts))

    head = get


def routes(service: Service) -> list[web.Route]:
    """Returns the routes of a run."""
    style, script = svg_map.style_and_script(_PAGE)
    page, rendered = _page(service), service.model.folder / "map.html"
    if rendered.is_file():
        # It has a policy of its own, for the script inside it.
        drawn = web.content("/map", rendered.read_text(encoding="utf-8"), "text/html", policy="")
    else:
        drawn = web.content("/map", page, "text/html")
    return [
        ("/predict", _Predict, {"service": service}),
        ("/health", _Health),
        ("/model", _Model, {"service": service}),
        drawn,
        web.content("/", page, "text/html"),
        web.content("/locate.css", style, "text/css"),
        web.content("/locate.js", script, "text/javascript"),
    ]


def _page(service: Service) -> str:
    """Returns the page that sends photographs."""
    level = f"{100 * service.fitted.level:.0f} % credible region" if service.fitted else ""
    ramps = {"ramp": projection.REDS, "dark_ramp": projection.DARK_REDS}
    data = {**service.drawn.units, **ramps, "names": service.model.partition.names, "level": level}
    return svg_map.filled(
        _PAGE,
        title=html.escape(service.model.folder.resolve().name),
        cells=service.drawn.cells,
        data=svg_map.json_in_html(data),
        figures=html.escape(_figures_text(service.figures)),
    )


def _figures_text(figures: dict[str, Any]) -> str:
    """Returns the figures of an evaluation in a sentence."""
    if not figures:
        return "This run was not evaluated."
    low, high = figures["intervals"]["mean_miles"]
    return (
        f"Mean error {figures['mean_miles']:,.0f} miles (95 % interval {low:,.0f} to {high:,.0f}) on "
        f"{figures['locations']:,} locations ({figures['on']}) {run_folder.seen_or_not(figures)}."
    )
