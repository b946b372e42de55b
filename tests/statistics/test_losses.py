"""Losses and probabilities that no bound can be had of are named."""

import math

import numpy as np
import pytest

from drawn_losses import curves
from huebands.statistics.broken_promise import broken_p, mean_interval_exact
from huebands.statistics.losses import RiskError
from huebands.statistics.risk_bounds import hoeffding_bentkus_upper, mean_upper, waudby_smith_ramdas_upper
from huebands.statistics.risk_control import rcps_step


@pytest.mark.parametrize("delta", [0, 1, -0.1, 1.5, math.nan])
def test_a_delta_out_of_range_is_named(delta):
    for call in (
        lambda: rcps_step(curves(0, 30), 0.2, delta),
        lambda: hoeffding_bentkus_upper(np.zeros(5), delta),
        lambda: waudby_smith_ramdas_upper(np.zeros(5), delta),
        lambda: mean_upper(np.zeros(5), delta),
    ):
        with pytest.raises(RiskError, match=r"must be in \(0, 1\)") as caught:
            call()
        assert str(caught.value).startswith("delta (=")
    with pytest.raises(RiskError, match=rf"^delta \(={delta!r}\) must be in \(0, 1\)$"):
        rcps_step(curves(0, 30), 0.2, delta)
    with pytest.raises(RiskError, match=rf"^confidence \(={delta!r}\) must be in \(0, 1\)$"):
        mean_interval_exact(np.zeros(5), delta)


def test_losses_that_are_none_or_out_of_range_are_named():
    calls = (
        lambda losses: hoeffding_bentkus_upper(losses, 0.1),
        lambda losses: waudby_smith_ramdas_upper(losses, 0.1),
        lambda losses: rcps_step(losses[:, None], 0.5, 0.1),
        lambda losses: broken_p(losses, 0.1),
        mean_interval_exact,
    )
    for call in calls:
        with pytest.raises(RiskError, match=r"losses of shape \(0(, 1)?,?\) must be of at least one photo"):
            call(np.zeros(0))
        for value in (-0.25, 1.25, math.nan):
            with pytest.raises(RiskError, match=r"losses must be in \[0, 1\]: there is a (-?[01]\.25|nan)"):
                call(np.array([0.5, value]))
