"""The networks that the flags of a training describe, with what only training sees around them."""

import keras

from model import augmentation, geolocator, tensors
from model.encoders import backbones, fine_tuning
from model.fusion import fusion, views
from model.heads import classifiers
from trainers.options import train_options


def classifier_of(
    settings: train_options.TrainOptions, spec: backbones.BackboneSpec, feature_shape: tuple[int, ...], cells: int
) -> keras.Model:
    """Builds what stands behind the features: unfrozen blocks if there are any, head, fusion of views.

    Args:
        settings: Flags.
        spec: Encoder that gives the features.
        feature_shape: Shape of one view's features.
        cells: Number of cells.

    Returns:
        keras.Model as `geolocator.build_classifier` returns it.

    Raises:
        BackboneError: If the encoder cannot be cut as the flags ask.
        OptionError: If the head cannot stand on what it gets.
    """
    blocks = fine_tuning.blocks_behind(spec, settings.unfreeze) if settings.unfreeze else None
    shape = tuple(blocks.output_shape[1:]) if blocks else feature_shape
    head = classifiers.build(settings.head, fusion.head_shape(settings.fusion, shape), cells, settings.dropout)
    return geolocator.build_classifier(head, feature_shape, settings.fusion, blocks)


def unfrozen(settings: train_options.TrainOptions, classifier: keras.Model) -> list[str]:
    """Returns the paths of the weights in the unfrozen blocks of a classifier; none if nothing was unfrozen."""
    if not settings.unfreeze:
        return []
    return [weight.path for weight in classifier.get_layer("blocks").layer.trainable_weights]


def on_features(settings: train_options.TrainOptions, classifier: keras.Model) -> keras.Model:
    """Returns a network to train on cached features: the classifier behind the augmentation of features.

    It shares the classifier's weights and is another model, because a compiled one inside the geolocator would take its
    loss and metrics along; and the augmentation would be saved with it.
    """
    features, view_mask = classifier.input["features"], classifier.input["view_mask"]
    inputs = {"features": features, "view_mask": view_mask}
    if not _changes_features(settings):
        return keras.Model(inputs, classifier.output, name="trainable")
    return keras.Model(inputs, classifier(_changed(settings, features, view_mask)), name="trainable")


def on_images(
    settings: train_options.TrainOptions, backbone: backbones.Backbone, classifier: keras.Model
) -> keras.Model:
    """Returns a network to train on images: augmentation of images, backbone, augmentation of features, classifier."""
    if not _changes_features(settings) and not _changes_images(settings):
        return geolocator.build_trainable(backbone, classifier)
    image = keras.Input((None, *backbone.input_shape[1:]), dtype="uint8", name="image")
    view_mask = keras.Input((None,), dtype="bool", name="view_mask")
    changed = image
    if _changes_images(settings):
        changed = augmentation.ImageJitter(settings.brightness, settings.contrast, settings.crop, name="jitter")(image)
    features = views.PerView(backbone, name="backbone")(changed)
    log_probabilities = classifier(_changed(settings, features, view_mask))
    return keras.Model({"image": image, "view_mask": view_mask}, log_probabilities, name="trainable")


def _changes_images(settings: train_options.TrainOptions) -> bool:
    """Returns whether training changes images."""
    return bool(settings.brightness or settings.contrast or settings.crop)


def _changes_features(settings: train_options.TrainOptions) -> bool:
    """Returns whether training changes features or hides views."""
    return bool(settings.feature_dropout or settings.view_mixup or settings.view_dropout)


def _changed(
    settings: train_options.TrainOptions, features: tensors.Tensor, view_mask: tensors.Tensor
) -> dict[str, tensors.Tensor]:
    """Returns the symbolic inputs of a classifier behind the augmentation that the flags ask for."""
    if settings.view_mixup:
        features = augmentation.ViewMixup(settings.view_mixup, name="view_mixup")(features, view_mask)
    if settings.view_dropout:
        view_mask = augmentation.ViewDropout(settings.view_dropout, name="view_dropout")(view_mask)
    if settings.feature_dropout:
        # Whole channels: a neighbour in the map would give a single value away.
        shape = (None, None, *[1] * (len(features.shape) - 3), None)
        drop = keras.layers.Dropout(
            settings.feature_dropout, noise_shape=shape, dtype="float32", name="feature_dropout"
        )
        features = drop(features)
    return {"features": features, "view_mask": view_mask}
