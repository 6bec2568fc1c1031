"""Writes tiny random networks by torch.onnx, for the tests of ONNX files.

python -m venv other && other/bin/pip install torch onnx onnxscript
other/bin/python tests/soak/torch_onnx.py torch_onnx
GEODS_TORCH_ONNX=torch_onnx python -m pytest tests/model/encoders/test_onnx.py
"""

import pathlib
import sys

import numpy as np
import torch
from torch import nn


class TinyViT(nn.Module):
    """One block, with position embeddings of 32x48 pixels in patches of 8."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.positions = nn.Parameter(torch.randn(1, 25, 16))
        self.block = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

    def forward(self, image):
        """Returns all tokens, and that of the class."""
        patches = self.patch(image).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(patches.shape[0], -1, -1), patches], 1) + self.positions
        tokens = self.block(tokens)
        return tokens, tokens[:, 0]


def main(folder: pathlib.Path) -> None:
    """Writes vit.onnx with weights beside it, cnn.onnx, and their outputs."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    vit, images = TinyViT().eval(), torch.rand(2, 3, 32, 48)
    names = {"input_names": ["image"], "dynamo": True}
    free = {"image": {0: torch.export.Dim("batch")}}
    outputs = ["tokens", "class"]
    torch.onnx.export(
        vit, (images,), folder / "vit.onnx", output_names=outputs, external_data=True, dynamic_shapes=free, **names
    )
    tokens, token = vit(images)
    np.savez(folder / "vit.npz", images=images, tokens=tokens.detach(), **{"class": token.detach()})
    layers = (nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1))
    cnn, larger = nn.Sequential(*layers).eval(), torch.rand(2, 3, 64, 80)
    torch.onnx.export(cnn, (images[:1],), folder / "cnn.onnx", output_names=["map"], external_data=False, **names)
    np.savez(folder / "cnn.npz", images=larger, map=cnn(larger).detach())


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
