"""A family without an objective passes through the training as every other: its package is what it began as."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from composition import composed
from huebands import params
from huebands.color import encode_lab, srgb_to_lab
from huebands.models.registry import build_network
from huebands.package.generator import read_generator, write_generator
from huebands.training.augment import load_photos
from huebands.training.loop import train
from huebands.training.report import describe
from tiny_photos import tiny_photo


class Silent:
    """Follows nothing."""

    def __getattr__(self, name):
        return lambda *arguments: None


def photos(count, size):
    lab = srgb_to_lab(
        torch.stack([torch.from_numpy(tiny_photo(seed).copy()).permute(2, 0, 1) for seed in range(count)]) / 255
    )
    return load_photos(encode_lab(lab).numpy(), [f"{row}" for row in range(count)], size)


@pytest.mark.parametrize("family", ["variational", "exemplar"])
def test_it_trains_to_a_package_that_is_what_it_was(family: str, tmp_path: Path) -> None:
    settings = params.from_mapping(composed(f"model={family}", "train.precision=float32"))
    model = replace(settings.model, image_size=64)
    optimisation = settings.train.limited(5)
    size = optimisation.load_size(64)
    trained = train(model, optimisation, photos(5, size), photos(2, 64), tmp_path / "last.pt", "data", Silent())
    assert [row["epoch"] for row in trained.history] == [1] and trained.history[0]["generator"] == 0
    config = describe(settings.data, model, optimisation, "1" * 64, "0" * 40)
    write_generator(tmp_path / "trained", trained.state, config)
    read = read_generator(tmp_path / "trained").network
    began = build_network(model.network, 64)
    began.load_pretrained()
    assert set(read.state_dict()) == set(began.state_dict())
    for name, tensor in began.state_dict().items():
        # Kernels are stored in half precision.
        np.testing.assert_allclose(read.state_dict()[name].float(), tensor.float(), rtol=1e-3, atol=1e-3)
