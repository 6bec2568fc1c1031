"""The whole network: any number of views, saved and loaded, and bad files."""

import pathlib
import pickle
import zipfile

import keras
import numpy as np
import precision
import pytest

from geods import errors
from model import decode, geolocator, losses, metrics
from model.encoders import backbones
from model.fusion.fusion import head_shape
from model.heads import classifiers

CENTROIDS = np.array([[lat, lon] for lat in (30.0, 40.0) for lon in (-110.0, -100.0, -90.0)])
RNG = np.random.default_rng(0)


def build(head: str = "linear", pooling: str = "avg", layer: str = "block_3_depthwise") -> keras.Model:
    spec = backbones.BackboneSpec("mobilenet_v2", "random", layer, pooling, height_px=32, width_px=64)
    backbone = backbones.build(spec)
    shape = backbone.output_shape[1:]
    classifier = geolocator.build_classifier(classifiers.build(head, shape, len(CENTROIDS)), shape)
    return geolocator.build_geolocator(backbone, classifier, decode.Decoder("least_distance", CENTROIDS))


def batch(places: int, most: int) -> dict[str, np.ndarray]:
    mask = RNG.random((places, most)) < 0.7
    mask[:, 0] = True
    return {"image": RNG.integers(0, 256, (places, most, 32, 64, 3), dtype="uint8"), "view_mask": mask}


def numpy_of(outputs) -> dict[str, np.ndarray]:
    return {name: keras.ops.convert_to_numpy(value) for name, value in outputs.items()}


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return build()


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("run") / "model.keras"
    geolocator.save(model, path)
    return path


@pytest.mark.parametrize(("places", "most"), [(1, 1), (2, 3), (3, 2)])
def test_it_takes_any_number_of_locations_and_views(places, most, model):
    outputs = numpy_of(model(batch(places, most)))
    assert outputs["log_probabilities"].shape == (places, len(CENTROIDS))
    assert outputs["coords"].shape == (places, 2)
    np.testing.assert_allclose(np.exp(outputs["log_probabilities"]).sum(axis=1), 1, rtol=1e-5)


def test_views_that_are_masked_do_not_count(model):
    inputs = batch(2, 3)
    inputs["view_mask"][:] = [True, False, True]
    kept = {name: value[:, [0, 2]] for name, value in inputs.items()}
    np.testing.assert_allclose(
        numpy_of(model(inputs))["log_probabilities"], numpy_of(model(kept))["log_probabilities"], rtol=1e-5, atol=1e-6
    )


def test_the_classifier_on_cached_features_agrees_with_the_whole_network(model):
    inputs = batch(2, 3)
    backbone = model.get_layer("backbone").layer
    features = np.stack([keras.ops.convert_to_numpy(backbone(views)) for views in inputs["image"]])
    log_probabilities = model.get_layer("classifier")({"features": features, "view_mask": inputs["view_mask"]})
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(log_probabilities),
        numpy_of(model(inputs))["log_probabilities"],
        rtol=1e-5,
        atol=1e-6,
    )


def test_only_the_head_is_trained(model):
    assert {variable.path.split("/")[0] for variable in model.trainable_variables} == {"logits"}


def test_it_learns_from_features(model):
    shape = (4,)
    classifier = geolocator.build_classifier(classifiers.build("mlp", shape, len(CENTROIDS)), shape)
    cells = RNG.integers(0, len(CENTROIDS), 64)
    features = np.eye(len(CENTROIDS))[cells][:, None, :4] + 0.01 * RNG.standard_normal((64, 2, 4))
    truth = np.column_stack([CENTROIDS[cells], cells]).astype("float32")
    classifier.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss=losses.GeolocationLoss(CENTROIDS, "haversine", scale_km=500.0),
        metrics=[metrics.CellAccuracy(), metrics.MeanMiles(CENTROIDS), metrics.WithinKm(CENTROIDS, 200.0)],
    )
    inputs = {"features": features.astype("float32"), "view_mask": np.ones((64, 2), dtype=bool)}
    history = classifier.fit(inputs, truth, epochs=6, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert history["mean_miles"][-1] < history["mean_miles"][0]


def test_a_saved_model_gives_the_same_outputs_and_its_backbone_is_still_frozen(model, saved):
    again = geolocator.load(saved)
    inputs = batch(2, 3)
    for name, value in numpy_of(again(inputs)).items():
        np.testing.assert_array_equal(value, numpy_of(model(inputs))[name])
    assert len(again.trainable_variables) == len(model.trainable_variables)


def test_a_trained_backbone_is_saved_as_one_that_is_trained(tmp_path):
    model = build()
    model.get_layer("backbone").layer.trainable = True
    geolocator.save(model, tmp_path / "model.keras")
    assert len(geolocator.load(tmp_path / "model.keras").trainable_variables) == len(model.trainable_variables) > 10


def test_saving_replaces_the_older_model_whole(model, saved, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(b"older")
    geolocator.save(model, path)
    assert zipfile.is_zipfile(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.keras"]


def test_a_name_without_keras_is_refused(model, tmp_path):
    with pytest.raises(errors.RunError, match=r"model\.h5: a model's file name ends in \.keras"):
        geolocator.save(model, tmp_path / "model.h5")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_outputs_stay_float32_under_mixed_precision(policy, tmp_path):
    with precision.policy(policy):
        model = build("report_75k", "none")
    inputs = batch(2, 2)
    outputs = numpy_of(model(inputs))
    assert {value.dtype for value in outputs.values()} == {np.dtype("float32")}
    np.testing.assert_allclose(np.exp(outputs["log_probabilities"]).sum(axis=1), 1, rtol=1e-5)
    geolocator.save(model, tmp_path / "model.keras")
    # Loaded under float32, a model keeps the precision it was trained in.
    again = numpy_of(geolocator.load(tmp_path / "model.keras")(inputs))
    np.testing.assert_array_equal(again["log_probabilities"], outputs["log_probabilities"])


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(errors.RunError, match=r"gone\.keras: no such file") as caught:
        geolocator.load(tmp_path / "gone.keras")
    assert "python -m trainers.train" in caught.value.next_step


@pytest.mark.parametrize(
    ("content", "start"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html><html></html>", "<!DOCTYPE html>"),
        (pickle.dumps({"weights": [1, 2, 3]}), r"it starts with b'\\x80"),
    ],
    ids=["empty", "html", "pickle"],
)
def test_a_file_that_is_no_model_is_named(content, start, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    with pytest.raises(errors.RunError, match=rf"model\.keras: not a \.keras model, or cut short; .*{start}"):
        geolocator.load(path)


def test_a_truncated_model_is_named(saved, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(saved.read_bytes()[:-1000])
    with pytest.raises(errors.RunError, match=r"model\.keras: not a \.keras model, or cut short"):
        geolocator.load(path)


def test_a_changed_byte_of_the_weights_is_named(saved, tmp_path):
    path = tmp_path / "model.keras"
    content = bytearray(saved.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(errors.RunError, match=r"the bytes of its model\.weights\.h5 have changed"):
        geolocator.load(path)


def test_a_model_with_damaged_weights_is_named(saved, tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(saved) as whole, zipfile.ZipFile(path, "w") as damaged:
        for name in whole.namelist():
            content = whole.read(name)
            damaged.writestr(name, content[: len(content) // 2] if name.endswith(".h5") else content)
    with pytest.raises(errors.RunError, match=r"model\.keras: not a usable \.keras model"):
        geolocator.load(path)


def test_an_archive_that_holds_no_model_is_named(tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("holiday.txt", "sun")
    with pytest.raises(errors.RunError, match=r"model\.keras: not a usable \.keras model") as caught:
        geolocator.load(path)
    assert len(str(caught.value).splitlines()) <= 12


def test_a_folder_is_no_model(tmp_path):
    with pytest.raises(errors.RunError, match="no such file"):
        geolocator.load(tmp_path)


def test_code_in_a_model_file_is_not_run(tmp_path):
    marker = tmp_path / "ran"
    inputs = keras.Input((1,))
    path = str(marker)
    layer = keras.layers.Lambda(lambda x: (pathlib.Path(path).touch(), x)[1], output_shape=(1,))
    evil = keras.Model(inputs, layer(inputs))
    marker.unlink(missing_ok=True)
    evil.save(tmp_path / "model.keras")
    with pytest.raises(errors.RunError, match=r"model\.keras: not a usable \.keras model: .*[Ll]ambda"):
        geolocator.load(tmp_path / "model.keras")
    assert not marker.exists()


def test_joined_classifiers_answer_with_the_mean_of_their_logs(tmp_path):
    members = [geolocator.build_classifier(classifiers.build("mlp", (5,), len(CENTROIDS)), (5,)) for _ in range(3)]
    joined = geolocator.join_classifiers(members)
    inputs = {"features": RNG.standard_normal((4, 2, 5)).astype("float32"), "view_mask": np.ones((4, 2), bool)}
    mean = np.mean([keras.ops.convert_to_numpy(one(inputs)) for one in members], axis=0)
    expected = mean - np.log(np.exp(mean).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(joined(inputs)), expected, rtol=1e-5, atol=1e-6)
    geolocator.save(joined, tmp_path / "joined.keras")
    again = geolocator.load(tmp_path / "joined.keras")
    np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(one(inputs)) for one in (joined, again)))


# Names before the modules moved; Keras finds a class by its registered name.
OLD_MODULES = {
    "model.encoders.backbones": "model.backbones",
    "model.encoders.preprocessing": "model.preprocessing",
    "model.encoders.second_order_pooling": "model.moments",
    "model.fusion.attention": "model.attention",
    "model.fusion.lstm": "model.sequences",
    "model.fusion.views": "model.views",
}
OLD_CLASSES = {"SecondOrderPooling": "SecondMoments", "MatrixSquareRoot": "MomentRoots"}


@pytest.mark.parametrize(("pooling", "fusion"), [("moments", "attention"), ("avg", "lstm")])
def test_a_model_that_names_earlier_modules_and_classes_loads(pooling, fusion, tmp_path):
    spec = backbones.BackboneSpec("mobilenet_v2", "random", "block_3_depthwise", pooling, height_px=32, width_px=64)
    backbone = backbones.build(spec)
    shape = backbone.output_shape[1:]
    head = classifiers.build("linear", head_shape(fusion, shape), len(CENTROIDS))
    classifier = geolocator.build_classifier(head, shape, fusion)
    new = geolocator.build_geolocator(backbone, classifier, decode.Decoder("least_distance", CENTROIDS))
    geolocator.save(new, tmp_path / "new.keras")
    found = set()
    with zipfile.ZipFile(tmp_path / "new.keras") as source, zipfile.ZipFile(tmp_path / "old.keras", "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                for now, before in (OLD_MODULES | OLD_CLASSES).items():
                    found |= {now} if f'"{now}"'.encode() in content else set()
                    content = content.replace(f'"{now}"'.encode(), f'"{before}"'.encode())
            target.writestr(name, content)
    assert found > {"model.fusion.views"}
    inputs = batch(2, 3)
    np.testing.assert_array_equal(
        numpy_of(geolocator.load(tmp_path / "old.keras")(inputs))["coords"], numpy_of(new(inputs))["coords"]
    )
