"""Encoder split in two for fine-tuning: a frozen front and trainable blocks.

front = backbones.build(dataclasses.replace(spec, layer="block_12_add"))
behind = fine_tuning.blocks_behind(spec_with_that_layer, unfreeze="block_12_add")
behind(front(images)) is the whole encoder's output, to the last bit of the same operations.
"""

import dataclasses
from typing import Any

import keras

from geods import errors
from model import tensors
from model.encoders import backbones, weights

LAST_BLOCK = "last_block"
_MERGES = ("Add", "Concatenate")


@keras.saving.register_keras_serializable(package="geods")
class Blocks(keras.Model):
    """Trainable blocks of an encoder behind a cut.

    Features `[b, h, w, c]` of the cut -> features of the encoder's output.

    They always run in inference mode, also while they are trained. Batch normalisation then keeps the statistics of the
    millions of images the encoder was trained on instead of those of the 32 locations of a batch (Keras'
    transfer-learning guide advises the same), and weights whose normalisation was folded into the convolutions, which
    hold a mean of 0 and a variance of 1, stay what they are. Its scale and offset are trained like every other weight.
    """

    def call(self, inputs: tensors.Tensor, training: bool | None = None, mask: tensors.Tensor = None) -> tensors.Tensor:
        """Returns the features behind the blocks."""
        return super().call(inputs, training=False, mask=mask)


def blocks_behind(spec: backbones.BackboneSpec, unfreeze: str) -> keras.Model:
    """Builds the blocks of an encoder behind a layer, with its weights.

    Args:
        spec: Encoder and layer; its pooling must be "none".
        unfreeze: "last_block", or the layer behind which weights are trainable: the spec's layer or one behind it.

    Returns:
        keras.Model: features of `spec.layer` -> features of the encoder's output; not pooled.

    Raises:
        BackboneError: If the encoder cannot be cut at one of the layers, or `unfreeze` lies before the spec's layer.
    """
    encoder = weights.make_encoder(spec.name, spec.weights, spec.height_px, spec.width_px, spec.seed)
    first = resolve(encoder, spec.name, unfreeze)
    layers = backbones.layer_names(encoder)
    cut = spec.layer or first
    order = _cuttable(encoder)
    _check_cuttable(encoder, spec.name, cut, order)
    if spec.pooling != "none" or order.index(layers[cut]) > order.index(layers[first]):
        what = f"pooled features of {cut}" if spec.pooling != "none" else f"features of {cut}, which lies behind it"
        problem = f"the blocks behind {first} cannot be trained on {what}."
        raise errors.BackboneError(problem, f"extract again with --layer={first} --pooling=none")
    if cut != first:
        _freeze_until(encoder, layers[first])
    features = keras.Input(layers[cut].output.shape[1:], name="features")
    inner = keras.Model(layers[cut].output, encoder.output, name=encoder.name)
    return Blocks(features, inner(features), name="blocks")


def layer_before(spec: backbones.BackboneSpec, unfreeze: str) -> str:
    """Returns the layer to cache for `unfreeze`, as in `BackboneSpec.layer`.

    Raises:
        BackboneError: If there is no such encoder or layer, or the encoder cannot be cut there.
    """
    bare = dataclasses.replace(spec, weights=weights.RANDOM, layer="", pooling="none", more_heights_px=())
    encoder = weights.make_encoder(bare.name, bare.weights, bare.height_px, bare.width_px, bare.seed)
    return resolve(encoder, spec.name, unfreeze)


def resolve(encoder: keras.Model, name: str, unfreeze: str) -> str:
    """Returns the name of the layer that `unfreeze` means.

    The last block reaches from the last layer that all information passes before the last sum or concatenation of
    branches: one residual block of a ResNet, one mixed block of Inception, a whole stage of ConvNeXt, and whatever
    follows it. Where there are no branches (VGG, MobileNet) it is the last two convolutions.

    Raises:
        BackboneError: If the encoder cannot be cut there.
    """
    order = _cuttable(encoder)
    if unfreeze != LAST_BLOCK:
        _check_cuttable(encoder, name, unfreeze, order)
        return unfreeze
    end = _last_block_reaches(encoder)
    place = {id(operation): number for number, operation in enumerate(encoder.operations)}
    before = [layer for layer in order if place[id(layer)] < end]
    if not before:
        raise errors.BackboneError(f"{name} has no block to cut off.", "name a layer: --unfreeze=LAYER")
    return _name_of(encoder, before[-1])


def _last_block_reaches(encoder: keras.Model) -> int:
    """Returns the index of an operation that the last block contains."""
    merges = [n for n, operation in enumerate(encoder.operations) if type(operation).__name__ in _MERGES]
    if merges:
        return merges[-1]
    kernels = [n for n, op in enumerate(encoder.operations) if any("kernel" in w.name for w in _weights(op))]
    return kernels[-2] if len(kernels) > 1 else 0


def _cuttable(encoder: keras.Model) -> list[Any]:
    """Returns, in order, the layers that every path through the encoder passes."""
    operations = encoder.operations
    makers = {id(tensor): n for n, op in enumerate(operations) for tensor in keras.tree.flatten(op.output)}
    last_use: dict[int, int] = {}
    for number, operation in enumerate(operations):
        if not isinstance(operation, keras.layers.InputLayer):
            for tensor in keras.tree.flatten(operation.input):
                last_use[makers[id(tensor)]] = number
    found, reach = [], -1
    for number, operation in enumerate(operations[:-1]):
        # Nothing made before it is used after it.
        if reach <= number and isinstance(operation, keras.layers.Layer) and number > 0:
            found.append(operation)
        reach = max(reach, last_use.get(number, number))
    return found


def _check_cuttable(encoder: keras.Model, name: str, layer: str, order: list[Any]) -> None:
    """Checks that an encoder has the layer and that no path bypasses it."""
    layers = backbones.layer_names(encoder)
    if layer in layers and any(layers[layer] is one for one in order):
        return
    what = "other layers also use what lies before it" if layer in layers else "there is no such layer"
    last = [_name_of(encoder, one) for one in order[-8:]]
    problem = f"{name} cannot be cut at {layer!r}: {what}."
    raise errors.BackboneError(problem, f"cut it at one of {len(order)} layers, the last of them {', '.join(last)}")


def _freeze_until(encoder: keras.Model, layer: keras.layers.Layer) -> None:
    for operation in encoder.operations:
        if isinstance(operation, keras.layers.Layer):
            operation.trainable = False
        if operation is layer:
            return


def _name_of(encoder: keras.Model, layer: keras.layers.Layer) -> str:
    return next(name for name, one in backbones.layer_names(encoder).items() if one is layer)


def _weights(operation: Any) -> list[Any]:  # noqa: ANN401 - an operation of Keras, which may be a layer
    return list(getattr(operation, "weights", []))
