"""Encoders of ONNX files joined with the graph of the network round them.

A network's graph is traced with a hole for each use of such an encoder: its images are further outputs, its features
further inputs. The encoder's own graph then fills the hole in the written file.
"""

import contextlib
import dataclasses
import graphlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from geods import errors
from model import tensors
from model.encoders import onnx_encoder, onnx_graph


@dataclasses.dataclass(frozen=True, eq=False)
class Link:
    """One use of an encoder, for images of one size.

    Attributes:
        layer: The encoder.
        size_px: (height, width).
        name: Of this use, in the graph.
    """

    layer: onnx_encoder.OnnxEncoder
    size_px: tuple[int, int]
    name: str

    @property
    def plan(self) -> onnx_graph.Plan:
        """The encoder's features of images of this size."""
        return self.layer.graph.plan(*self.size_px)

    @property
    def images(self) -> str:
        """Name of the network's output that feeds the encoder."""
        return f"{self.name}_images"

    @property
    def features(self) -> str:
        """Name of the network's input that the encoder feeds."""
        return f"{self.name}_features"

    def output_shape(self) -> tuple[int, ...]:
        """Returns the shape of the encoder's own output for one image."""
        shape = self.layer.graph.in_openvino(self.size_px).outputs[0].get_partial_shape()
        return tuple(side.get_length() for side in list(shape)[1:])

    def to_encoder(self, levels: tensors.Tensor) -> tensors.Tensor:
        """Returns normalised images `[n, h, w, 3]` as the encoder takes them."""
        graph = self.layer.graph
        if not graph.is_channels_last:
            levels = ops.transpose(levels, (0, 3, 1, 2))
        is_whole = graph.input_type == np.uint8
        return ops.cast(ops.clip(ops.round(levels), 0, 255) if is_whole else levels, np.dtype(graph.input_type).name)

    def from_encoder(self, values: tensors.Tensor) -> tensors.Tensor:
        """Returns the encoder's outputs as float32 features, as `Plan.features` does."""
        shape, tokens = self.plan.feature_shape, self.plan.tokens
        if self.plan.layout == "nchw":
            values = ops.transpose(values, (0, 2, 3, 1))
        elif tokens:
            values = values[:, tokens - math.prod(shape[:2]) :]
        return ops.reshape(ops.cast(values, "float32"), (-1, *shape))


def of(network: keras.Model) -> list[Link]:
    """Returns a link for each use of an ONNX encoder in a network.

    Raises:
        OptionError: If an encoder takes one image at a time, which no graph over all views can.
    """
    layers = [layer for layer in network._flatten_layers() if isinstance(layer, onnx_encoder.OnnxEncoder)]
    uses = [(layer, size) for layer in layers for size in layer.sizes_px]
    links = [Link(layer, size, f"encoder{number}") for number, (layer, size) in enumerate(uses)]
    for link in links:
        if link.plan.one_by_one:
            problem = f"{link.layer.graph.path.name}: was traced with one image, and the views of a location are many."
            raise errors.OptionError(problem, "export the encoder for any number of images and extract again")
    return links


@contextlib.contextmanager
def cut(links: Sequence[Link], features: Sequence[tensors.Tensor]) -> Iterator[dict[str, tensors.Tensor]]:
    """Puts given outputs in the place of encoders; yields their images by name."""
    fed: dict[str, tensors.Tensor] = {}
    given = {(link.layer, link.size_px): (link, values) for link, values in zip(links, features, strict=True)}

    def stand_in(layer: onnx_encoder.OnnxEncoder, levels: tensors.Tensor) -> tensors.Tensor:
        link, values = given[layer, tuple(levels.shape[1:3])]
        fed[link.images] = link.to_encoder(levels)
        return link.from_encoder(values)

    try:
        for link in links:
            link.layer.stand_in = lambda levels, layer=link.layer: stand_in(layer, levels)
        yield fed
    finally:
        for link in links:
            link.layer.stand_in = None


def join_openvino(head: Any, links: Sequence[Link]) -> Any:  # noqa: ANN401 - models of OpenVINO
    """Returns a network's model with the encoders in their holes."""
    import openvino

    ports = {name: port for port in (*head.inputs, *head.outputs) for name in port.get_names()}
    for link in links:
        encoder = link.layer.graph.in_openvino(link.size_px)
        _feed(encoder.inputs[0].get_node(), ports[link.images].get_node().input_value(0))
        _feed(ports[link.features].get_node(), encoder.outputs[0].get_node().input_value(0))
    holes = {name for link in links for name in (link.images, link.features)}
    kept = [[port.get_node() for port in side if not holes & port.get_names()] for side in (head.outputs, head.inputs)]
    return openvino.Model(*kept)


def _feed(parameter: Any, source: Any) -> None:  # noqa: ANN401 - a node and a port of OpenVINO
    """Feeds all that an input of a graph fed from another port."""
    for target in parameter.output(0).get_target_inputs():
        target.replace_source_output(source)


def join_onnx(head: Any, links: Sequence[Link]) -> Any:  # noqa: ANN401 - an ONNX ModelProto
    """Returns a network's ONNX model with the encoders in their holes."""
    import onnx

    graph, opset = head.graph, {one.domain: one.version for one in head.opset_import}
    for link in links:
        encoder = onnx.load_from_string(link.layer.graph.in_onnx())
        onnx.external_data_helper.load_external_data_for_model(encoder, str(link.layer.graph.path.parent))
        image = next(one.name for one in encoder.graph.input if one.name in link.layer.graph.input_names)
        # What the output does not follow from is left out.
        encoder = onnx.utils.Extractor(encoder).extract_model([image], [encoder.graph.output[0].name])
        encoder = onnx.compose.add_prefix(onnx.version_converter.convert_version(encoder, opset[""]), f"{link.name}/")
        graph.initializer.extend(encoder.graph.initializer)
        graph.node.extend(encoder.graph.node)
        graph.node.append(onnx.helper.make_node("Identity", [link.images], [f"{link.name}/{image}"]))
        graph.node.append(onnx.helper.make_node("Identity", [encoder.graph.output[0].name], [link.features]))
        head.opset_import.extend(one for one in encoder.opset_import if one.domain not in opset)
        head.ir_version = max(head.ir_version, encoder.ir_version)
    holes = {name for link in links for name in (link.images, link.features)}
    for side in (graph.input, graph.output):
        kept = [one for one in side if one.name not in holes]
        del side[:]
        side.extend(kept)
    nodes = _sorted(list(graph.node))
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    return head


def _sorted(nodes: Sequence[Any]) -> list[Any]:
    """Returns ONNX nodes, each behind those it follows from."""
    makers = {name: number for number, node in enumerate(nodes) for name in node.output}
    before = {number: {makers[name] for name in _names_in(node) if name in makers} for number, node in enumerate(nodes)}
    return [nodes[number] for number in graphlib.TopologicalSorter(before).static_order()]


def _names_in(node: Any) -> Iterator[str]:  # noqa: ANN401 - of ONNX
    """Yields the names that a node reads, in the graphs of its attributes too."""
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _names_in(inner)
