"""Networks as models of OpenVINO, converted in memory."""

from typing import Any

import keras

from model.export import encoder_links, graph


def of_network(network: keras.Model) -> Any:  # noqa: ANN401 - a model of OpenVINO
    """Returns a network as a model of OpenVINO.

    Inputs and outputs are those of `graph.frozen`.

    Args:
        network: As `geolocator.build_geolocator` returns it, on Keras' TensorFlow backend.

    Raises:
        RuntimeError: If OpenVINO lacks an operation of the network.
    """
    function, links = graph.traced(network)
    return encoder_links.join_openvino(convert(function), links)


def convert(function: Any) -> Any:  # noqa: ANN401 - a concrete function, a model of OpenVINO
    """Returns a concrete function of TensorFlow as a model of OpenVINO.

    It keeps the names of the function's arguments and of a dict that it returns.

    Raises:
        RuntimeError: If OpenVINO lacks an operation of the function.
    """
    # The middle of openvino.convert_model, which reports its use to a server. Through a SavedModel or a frozen graph in
    # a file, `best` with its 80 MB took 3.8 more seconds of the processor.
    from openvino import frontend
    from openvino.frontend.tensorflow import utils

    reader = frontend.FrontEndManager().load_by_framework("tf")
    # Kept by its name until the end: the reader does not keep it alive.
    operations = utils.create_tf_graph_iterator(function, None, None, None, share_weights=False)
    return reader.convert(reader.load(operations))
