"""Networks of every kind, written in every format and run by its own runtime."""

import keras
import numpy as np
import pytest

from geods import errors
from model import decode, geolocator
from model.encoders import backbones, second_order_pooling
from model.export import formats, graph, runners, serving_graph
from model.heads import classifiers, kernel_regression, knn

CELLS, PLACES = 9, 20
RNG = np.random.default_rng(3)
CENTROIDS = np.stack([RNG.uniform(30, 45, CELLS), RNG.uniform(-120, -80, CELLS)], axis=1)
FORMATS = ("saved_model", "onnx", "openvino", "litert")


def backbone(pooling):
    images = keras.Input((16, 24, 3), dtype="uint8", name="image")
    levels = keras.layers.Rescaling(1 / 127.5, -1.0)(images)
    features = keras.layers.Conv2D(6, 5, strides=4, activation="relu")(levels)
    if pooling == "moments":
        pooled = second_order_pooling.SecondOrderPooling()(features)
    else:
        pooled = keras.layers.GlobalAveragePooling2D(dtype="float32")(features)
    return backbones.Backbone(images, pooled)


def network(kind, encoder=None):
    """A network of a head or fusion, with weights far from their start."""
    keras.utils.set_random_seed(0)
    encoder = encoder or backbone("moments" if kind == "kernel" else "avg")
    shape = encoder.output_shape[1:]
    if kind == "kernel":
        regression = kernel_regression.KernelRegression(PLACES, CELLS, name="kernel")
        classifier = kernel_regression.build_classifier(regression, shape)
        regression.descriptors.assign(RNG.normal(size=regression.descriptors.shape) / 5)
        regression.coefficients.assign(100 * RNG.normal(size=regression.coefficients.shape))
        regression.rate.assign(0.5)
        regression.spread_km.assign(30)
    elif kind == "neighbours":
        density = knn.NeighbourDensity(PLACES, CENTROIDS, 5)
        classifier = knn.build_classifier(density, shape)
        density.remember(RNG.normal(size=density.descriptors.shape), CENTROIDS.repeat(3, axis=0)[:PLACES])
    else:
        head_shape = (64,) if kind == "lstm" else shape
        head = classifiers.build("report_lstm" if kind == "lstm" else "mlp", head_shape, CELLS)
        classifier = geolocator.build_classifier(head, shape, fuse=kind)
        for variable in classifier.trainable_variables:
            variable.assign(variable + RNG.normal(scale=0.1, size=variable.shape))
    decoder = decode.Decoder("least_distance", CENTROIDS, candidates=CENTROIDS + 0.5, name="decoder")
    return geolocator.build_geolocator(encoder, classifier, decoder)


@pytest.fixture(scope="module", params=["kernel", "neighbours", "mean", "mean_log", "attention", "lstm"])
def exported(request):
    built = network(request.param)
    return request.param, built, graph.frozen(built)


def batch(locations, views):
    mask = RNG.random((locations, views)) > 0.3
    mask[:, 0] = np.arange(locations) != 1
    mask[1:2] = False
    return {"image": RNG.integers(0, 256, (locations, views, 16, 24, 3)).astype(np.uint8), "view_mask": mask}


@pytest.mark.parametrize("kind", FORMATS[1:])
def test_a_written_network_gives_the_answers_of_its_own(kind, exported, tmp_path):
    name, built, serving = exported
    pytest.importorskip({"onnx": "onnxruntime", "openvino": "openvino", "litert": "ai_edge_litert"}[kind])
    if name == "lstm" and kind == "litert":
        with pytest.raises(errors.OptionError, match="no loop over a variable number of views"):
            formats.check_exportable(built, kind)
        return
    formats.check_exportable(built, kind)
    run = runners.opened(formats.write(serving, kind, tmp_path))
    # Other numbers of locations and views each, and one location without any view.
    for size in ((1, 1), (3, 2), (2, 4)):
        given = batch(*size)
        wanted, got = built(given, training=False), run(given)
        log_probabilities, seen = np.asarray(wanted["log_probabilities"]), given["view_mask"].any(axis=1)
        np.testing.assert_allclose(got["log_probabilities"], log_probabilities, atol=1e-4)
        np.testing.assert_allclose(got["probabilities"].sum(axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(got["coords"][seen], np.asarray(wanted["coords"])[seen], atol=1e-4)
        np.testing.assert_array_equal(got["cells"][seen], log_probabilities.argmax(axis=1)[seen])
    assert log_probabilities.std() > 0.01, "a network that always answers alike shows nothing"


def test_an_export_leaves_the_network_as_it_was():
    built = network("kernel")
    given = batch(3, 2)
    before = np.asarray(built(given, training=False)["log_probabilities"])
    graph.frozen(built)
    np.testing.assert_array_equal(np.asarray(built(given, training=False)["log_probabilities"]), before)


def test_a_network_of_mixed_precision_is_exported_in_float32(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        built = network("mean")
    finally:
        keras.config.set_dtype_policy("float32")
    run = runners.opened(formats.write(graph.frozen(built), "openvino", tmp_path))
    given = batch(4, 2)
    wanted = np.asarray(built(given, training=False)["log_probabilities"])
    got = run(given)["log_probabilities"]
    assert 0 < np.abs(got - wanted).max() < 0.1


@pytest.fixture(scope="module")
def onnx_encoder(tmp_path_factory):
    """Patches of images of two sizes, by an ONNX file of an older opset."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    make, floats = onnx.helper, onnx.TensorProto.FLOAT
    kernel = onnx.numpy_helper.from_array(RNG.normal(size=(6, 3, 4, 4)).astype(np.float32), "kernel")
    unused = onnx.numpy_helper.from_array(np.ones(9, np.float32), "unused")
    nodes = [
        make.make_node("Conv", ["image", "kernel"], ["map"], strides=[4, 4]),
        make.make_node("Relu", ["map"], ["levels"]),
        make.make_node("Mul", ["unused", "unused"], ["more"]),
    ]
    takes = [make.make_tensor_value_info("image", floats, ["n", 3, 16, 24])]
    gives = [
        make.make_tensor_value_info("levels", floats, ["n", 6, 4, 6]),
        make.make_tensor_value_info("more", floats, [9]),
    ]
    graph_proto = make.make_graph(nodes, "patches", takes, gives, [kernel, unused])
    path = tmp_path_factory.mktemp("onnx") / "patches.onnx"
    onnx.save(make.make_model(graph_proto, opset_imports=[make.make_opsetid("", 13)], ir_version=8), path)
    spec = backbones.BackboneSpec(
        f"onnx:{path}", height_px=16, width_px=24, more_heights_px=(8,), pooling="avg", mean="lite"
    )
    return backbones.build(spec)


@pytest.mark.parametrize("kind", FORMATS)
def test_an_encoder_of_an_onnx_file_is_written_with_its_network(kind, onnx_encoder, tmp_path):
    built = network("mean", onnx_encoder)
    if kind in ("saved_model", "litert"):
        with pytest.raises(errors.OptionError, match=f"--format={kind}: the encoder is an ONNX file"):
            formats.check_exportable(built, kind)
        return
    path = formats.write(graph.frozen(built), kind, tmp_path)
    given = batch(3, 2)
    wanted = built(given, training=False)["log_probabilities"]
    np.testing.assert_allclose(runners.opened(path)(given)["log_probabilities"], wanted, atol=1e-4)
    assert b"unused" not in path.read_bytes()


def test_a_serving_graph_is_left_only_where_it_agrees(tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    built, path = network("lstm"), tmp_path / "serving" / "model.xml"
    assert serving_graph.write(built, path) == ""
    assert {one.name for one in path.parent.iterdir()} == {"model.xml", "model.bin"}
    monkeypatch.setattr(graph, "_MOST_DIFFERENCE", -1.0)
    assert "differ from the network's by" in serving_graph.write(built, path)
    assert not path.parent.exists()


def test_the_limit_of_differences_grows_with_the_coefficients_of_a_kernel_regression():
    built = network("kernel")
    assert graph.most_difference(built) == 1e-4
    regression = next(layer for layer in built._flatten_layers() if layer.name == "kernel")
    regression.coefficients.assign(np.full(regression.coefficients.shape, 1e5))
    # 20 locations of 100,000 km, a width of 30 km, and half of the last bit of 1.
    assert graph.most_difference(built) == pytest.approx(20 * 1e5 / 30 * 2**-24)
