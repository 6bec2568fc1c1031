"""Networks of a training: the classifier after the encoder, and its augmentation."""

import keras

from geods import errors
from model import augmentation, geolocator, tensors
from model.encoders import backbones, fine_tuning
from model.fusion import fusion, views
from model.heads import classifiers
from trainers.options import train_options


def classifier_of(
    head: train_options.HeadOptions,
    unfreeze: str,
    spec: backbones.BackboneSpec | backbones.JoinedSpec,
    feature_shape: tuple[int, ...],
    cells: int,
) -> keras.Model:
    """Builds the network behind the features.

    Unfrozen blocks if there are any, head, fusion of views.

    Args:
        head: The head and its fusion.
        unfreeze: --unfreeze, the blocks of the encoder to train.
        spec: Encoder that gives the features.
        feature_shape: Shape of one view's features.
        cells: Number of cells.

    Returns:
        keras.Model as `geolocator.build_classifier` returns it.

    Raises:
        BackboneError: If the encoder cannot be cut as the flags ask.
        OptionError: If the head cannot take the features.
    """
    if unfreeze and isinstance(spec, backbones.JoinedSpec):
        problem = f"--unfreeze={unfreeze} with the features of several encoders."
        raise errors.BackboneError(problem, "give the --cache_dir of one, or leave --unfreeze out")
    blocks = fine_tuning.blocks_behind(spec, unfreeze) if unfreeze else None  # type: ignore[arg-type]
    shape = tuple(blocks.output_shape[1:]) if blocks else feature_shape
    built = classifiers.build(head.head, fusion.head_shape(head.fusion, shape), cells, head.dropout)
    return geolocator.build_classifier(built, feature_shape, head.fusion, blocks)


def unfrozen_paths(classifier: keras.Model) -> list[str]:
    """Returns the paths of the weights in the unfrozen blocks of a classifier.

    There are none if nothing was unfrozen.
    """
    blocks = [layer for layer in classifier.layers if layer.name == "blocks"]
    return [weight.path for layer in blocks for weight in layer.layer.trainable_weights]


def on_features(changes: train_options.AugmentationOptions, classifier: keras.Model) -> keras.Model:
    """Returns a network to train on cached features.

    The classifier behind the augmentation of features.

    It shares the classifier's weights and is another model, because a compiled one inside the geolocator would take its
    loss and metrics along; and the augmentation would be saved with it.
    """
    features, view_mask = classifier.input["features"], classifier.input["view_mask"]
    inputs = {"features": features, "view_mask": view_mask}
    if not changes.changes_features:
        return keras.Model(inputs, classifier.output, name="trainable")
    return keras.Model(inputs, classifier(_augmented(changes, features, view_mask)), name="trainable")


def on_images(
    changes: train_options.AugmentationOptions, backbone: backbones.Backbone, classifier: keras.Model
) -> keras.Model:
    """Returns a network to train on images.

    Augmentation of images, backbone, augmentation of features, classifier.
    """
    if not changes.changes_features and not changes.changes_images:
        return geolocator.build_trainable(backbone, classifier)
    image = keras.Input((None, *backbone.input_shape[1:]), dtype="uint8", name="image")
    view_mask = keras.Input((None,), dtype="bool", name="view_mask")
    changed = image
    if changes.changes_images:
        changed = augmentation.ImageJitter(changes.brightness, changes.contrast, changes.crop, name="jitter")(image)
    features = views.PerView(backbone, name="backbone")(changed)
    log_probabilities = classifier(_augmented(changes, features, view_mask))
    return keras.Model({"image": image, "view_mask": view_mask}, log_probabilities, name="trainable")


def _augmented(
    changes: train_options.AugmentationOptions, features: tensors.Tensor, view_mask: tensors.Tensor
) -> dict[str, tensors.Tensor]:
    """Returns the symbolic inputs of a classifier with augmented features."""
    if changes.view_mixup:
        features = augmentation.ViewMixup(changes.view_mixup, name="view_mixup")(features, view_mask)
    if changes.view_dropout:
        view_mask = augmentation.ViewDropout(changes.view_dropout, name="view_dropout")(view_mask)
    if changes.feature_dropout:
        # Whole channels: a neighbour in the map would give a single value away.
        shape = (None, None, *[1] * (len(features.shape) - 3), None)
        drop = keras.layers.Dropout(changes.feature_dropout, noise_shape=shape, dtype="float32", name="feature_dropout")
        features = drop(features)
    return {"features": features, "view_mask": view_mask}
