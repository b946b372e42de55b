"""The discriminator of the objective `dual_head`, which its preset leaves out."""

from dataclasses import replace

import torch

from composition import composed
from huebands import params
from huebands.color import srgb_to_lab, to_units
from huebands.models.interface import Condition
from huebands.training.learner import set_up


def test_from_its_epoch_on_the_discriminator_learns_and_joins_the_loss() -> None:
    values = composed("model=dual-head")
    values["model"]["network"] |= {"encoder": "resnet18", "pretrained": False, "filters": 8}
    values["model"]["image_size"] = 64
    values["model"]["objective"] |= {"lambda_adversarial": 1.0, "adversarial_from": 2}
    settings = params.from_mapping(values)
    torch.manual_seed(0)
    _, objective, learners = set_up(settings.model, replace(settings.train, precision="float32"))
    discriminator = learners.helpers["discriminator"].network
    L_unit, ab_unit = to_units(srgb_to_lab(torch.rand(2, 3, 64, 64)))
    objective.prepare([ab_unit])
    learners.train()
    before = [parameter.clone() for parameter in discriminator.parameters()]
    early = objective.step(learners, Condition(L_unit_B1SS=L_unit), ab_unit, epoch=1)
    assert early["discriminator"] == early["adversarial"] == 0
    assert all(torch.equal(old, new) for old, new in zip(before, discriminator.parameters(), strict=True))
    late = objective.step(learners, Condition(L_unit_B1SS=L_unit), ab_unit, epoch=2)
    assert all(torch.isfinite(figure) for figure in late.values())
    assert late["discriminator"] > 0 and late["adversarial"] != 0
    assert any(not torch.equal(old, new) for old, new in zip(before, discriminator.parameters(), strict=True))
    assert all(parameter.requires_grad for parameter in discriminator.parameters())
