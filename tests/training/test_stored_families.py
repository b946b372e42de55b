"""Every family around a frozen encoder learns from features on disk as from those that it computes itself."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from composition import CONF, composed
from huebands import params
from huebands.models.encoders.encoder_decoder import EncoderDecoder
from huebands.models.interface import Condition
from huebands.training.learner import set_up

FAMILIES = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))


def is_frozen(family: str) -> bool:
    network = composed(f"model={family}")["model"]["network"]
    return network.get("pretrained", False) and network.get("encoder_rate") == 0


@pytest.mark.parametrize("family", [family for family in FAMILIES if is_frozen(family)])
def test_a_step_on_stored_features_is_that_on_computed_ones(family: str, tmp_path: Path) -> None:
    settings = params.from_mapping(composed(f"model={family}", "train.precision=float32", "experiment=small"))
    model = settings.model
    if family == "fusion":  # its classifier takes a minute at its own size
        model = replace(model, network=replace(model.network, classifier_size=96))
    random = torch.Generator().manual_seed(0)
    L_unit = 2 * torch.rand(2, 1, model.image_size, model.image_size, generator=random) - 1
    ab_unit = 0.2 * torch.randn(2, 2, model.image_size, model.image_size, generator=random)
    states = []
    for stored in (False, True):
        torch.manual_seed(0)
        network, objective, learners = set_up(model, replace(settings.train, batch_size=2))
        assert isinstance(network, EncoderDecoder) and network.encoder_is_frozen
        objective.prepare([ab_unit])
        learners.train()
        torch.manual_seed(1)
        # The store leaves out the maps that are finer than the decoder joins.
        maps = network.encoder(L_unit)[network.finest :] if stored else []
        with network.encoder.known(L_unit if stored else torch.empty(0), maps):
            objective.step(learners, Condition(L_unit_B1SS=L_unit), ab_unit, epoch=settings.train.epochs)
        states.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
    for name, tensor in states[0].items():
        torch.testing.assert_close(states[1][name], tensor, msg=lambda text, name=name: f"{name}: {text}")
