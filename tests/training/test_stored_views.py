"""Views that are drawn once: a frozen encoder's features come from the disk, and nothing else changes."""

import dataclasses
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from composition import composed
from huebands import params
from huebands.color import encode_lab, to_units
from huebands.models.encoders.efficientnet import EfficientNetLite
from huebands.models.encoders.encoder import Encoder
from huebands.models.encoders.encoder_decoder import EncoderDecoder
from huebands.models.interface import Network
from huebands.models.params import ModelParams
from huebands.models.registry import build_network
from huebands.training.augment import Photos, augment, draw_views
from huebands.training.distributed import ALONE
from huebands.training.loop import Trained, train
from huebands.training.params import TrainParams
from huebands.training.stored_views import StoredViews

COUNT, SIZE, MARGIN = 5, 64, 8


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of each test, and an encoder whose weights need no archive."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Encoder, "load_imagenet", lambda encoder: None)
    return tmp_path


def settings(**train_values: Any) -> tuple[ModelParams, TrainParams]:
    """dual-head around a frozen encoder at a small size, and a training of four epochs with two views."""
    loaded = params.from_mapping(composed("model=dual-head"))
    network = dataclasses.replace(loaded.model.network, encoder_rate=0.0, filters=4, dropout=0.0)
    model = dataclasses.replace(loaded.model, image_size=SIZE, network=network)
    values: dict[str, Any] = {
        "epochs": 4, "batch_size": 2, "jitter": MARGIN / SIZE, "border_share": 0.5, "feature_views": 2,
        "precision": "float32", "ema_decay": 0.0, "checkpoint_every": 1, "picture_every": 100, "warmup_epochs": 0,
    }  # fmt: skip
    return model, dataclasses.replace(loaded.train, **(values | train_values))


def photos(size: int = SIZE + MARGIN) -> Photos:
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(COUNT, 3, 9, 9, generator=random) * torch.tensor([100.0, 80.0, 80.0])[:, None, None]
    lab = torch.nn.functional.interpolate(coarse - torch.tensor([0.0, 40.0, 40.0])[:, None, None], (size, size))
    return Photos(encode_lab(lab).permute(0, 2, 3, 1).contiguous(), [f"photo-{row}" for row in range(COUNT)])


def new_network(model: ModelParams) -> Network:
    torch.manual_seed(0)
    network = build_network(model.network, model.image_size)
    network.load_pretrained()
    return network.eval()


def prepared(model: ModelParams, train_params: TrainParams) -> StoredViews | None:
    return StoredViews.prepare(new_network(model), photos(), SIZE, train_params, "d" * 64, ALONE)


class Observer:
    """Follows a run, and pulls the plug in an epoch."""

    def __init__(self, stop_in_epoch: int | None = None) -> None:
        self.stop_in_epoch = stop_in_epoch

    def step_done(self, epoch: int, photos: int) -> None:
        if epoch == self.stop_in_epoch:
            raise KeyboardInterrupt

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: None


def run(folder: Path, observer: Observer | None = None, **train_values: Any) -> Trained:
    model, train_params = settings(**train_values)
    checkpoint = folder / "checkpoint.pt"
    return train(model, train_params, photos(), photos(SIZE), checkpoint, "d" * 64, observer or Observer())


def test_each_epoch_uses_the_next_of_a_photos_views() -> None:
    model, train_params = settings()
    stored = prepared(model, train_params)
    assert stored is not None
    drawn = draw_views(COUNT, MARGIN, train_params, torch.Generator().manual_seed(9))
    first, second, third = (stored.of_epoch(drawn, epoch) for epoch in (1, 2, 3))
    for views in (first, second, third):
        assert torch.equal(views.rows, drawn.rows), "photos come in the epoch's order"
    assert torch.equal(first.gamma, third.gamma) and not torch.equal(first.gamma, second.gamma)
    assert not torch.equal(first.gamma, drawn.gamma)


def test_features_are_those_of_the_augmented_photos_at_the_strides_that_the_decoder_joins() -> None:
    model, train_params = settings()
    stored = prepared(model, train_params)
    assert stored is not None
    drawn = draw_views(COUNT, MARGIN, train_params, torch.Generator().manual_seed(9))
    for epoch in (1, 2):
        L_unit, _ = to_units(augment(photos(), stored.of_epoch(drawn, epoch), SIZE))
        with torch.inference_mode():
            expected = stored.encoder(L_unit)
            with stored.known(L_unit, drawn, epoch):
                maps = stored.encoder(L_unit)
        assert [part.shape[-1] for part in maps] == [16, 8, 4, 2], "the map at stride 2 has no use"
        for part, expected_part in zip(maps, expected[1:], strict=True):
            torch.testing.assert_close(part, expected_part, rtol=2**-10, atol=1e-4)


def test_an_encoder_knows_one_tensor_and_only_within_the_block() -> None:
    encoder = new_network(settings()[0])
    assert isinstance(encoder, EncoderDecoder)
    L_unit, known = torch.zeros(1, 1, SIZE, SIZE), [torch.ones(1)]
    with torch.inference_mode():
        with encoder.encoder.known(L_unit, known):
            assert encoder.encoder(L_unit) is known
            assert len(encoder.encoder(L_unit.clone())) == 5
        assert len(encoder.encoder(L_unit)) == 5


def test_training_learns_the_same_without_running_the_encoder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = run(folder)
    calls: list[bool] = []
    forward = EfficientNetLite.forward

    def counted(network: EfficientNetLite, x: Tensor) -> list[Tensor]:
        calls.append(torch.is_inference_mode_enabled() or not torch.is_grad_enabled())
        return forward(network, x)

    monkeypatch.setattr(EfficientNetLite, "forward", counted)
    (folder / "checkpoint.pt").unlink()
    again = run(folder)
    assert calls and all(calls), "the encoder ran for the shapes and for validation alone"
    assert all(torch.equal(again.state[name], tensor) for name, tensor in stored.state.items())
    monkeypatch.setattr(Encoder, "known", lambda encoder, L_unit, features: nullcontext())
    (folder / "checkpoint.pt").unlink()
    calls.clear()
    computed = run(folder)
    assert not all(calls)
    for row, expected in zip(stored.history, computed.history, strict=True):
        assert row["generator"] == pytest.approx(expected["generator"], rel=1e-3)
    assert stored.history[-1]["generator"] < stored.history[0]["generator"]


def test_a_killed_run_goes_on_with_the_same_views(folder: Path) -> None:
    (folder / "whole").mkdir()
    whole = run(folder / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(folder, Observer(stop_in_epoch=3))
    resumed = run(folder)
    assert all(torch.equal(resumed.state[name], tensor) for name, tensor in whole.state.items())


@pytest.mark.parametrize("change", ["no views", "a learning encoder", "no encoder"])
def test_other_trainings_draw_views_in_each_epoch(change: str, folder: Path) -> None:
    model, train_params = settings(**({"feature_views": 0} if change == "no views" else {}))
    if change == "a learning encoder":
        model = dataclasses.replace(model, network=dataclasses.replace(model.network, encoder_rate=0.1))
    if change == "no encoder":
        model = dataclasses.replace(params.from_mapping(composed()).model, image_size=SIZE)
    assert prepared(model, train_params) is None
    assert not (folder / "data").exists()


def test_views_follow_the_parameters_that_decide_them() -> None:
    folders = set()
    for values in ({}, {"seed": 1}, {"feature_views": 3}, {"lightness_jitter": 0.0}, {"border_share": 0.0}):
        stored = prepared(*settings(**values))
        assert stored is not None
        folders.add(stored.features.folder)
    assert len(folders) == 5
    stored = prepared(*settings(learning_rate=1.0, batch_size=3, feature_gib=4.0))
    assert stored is not None and stored.features.folder in folders
