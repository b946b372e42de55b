"""The coordinate of colours: encode and decode undo each other, keep order, and stay in what sRGB can show."""

import pytest
import torch

from huebands import color
from huebands.density.coordinate import decode, decode_channel, encode

GREYS = torch.arange(256, dtype=torch.uint8)


def at_every_grey(row):
    """Repeat values (..., N) for each grey level: values (3, 256, N), greys (256, N)."""
    return row.expand(3, 256, len(row)), GREYS[:, None].expand(256, len(row))


@pytest.fixture(scope="module")
def limits():
    """Lowest and highest value of each channel at each grey level: float (3, 256, 1) each."""
    lowest, highest = color.gamut_table().float().permute(2, 1, 0)[..., None]
    return lowest, highest


def test_decode_undoes_encode_for_every_value_that_srgb_can_show(limits):
    values, grey = at_every_grey(torch.arange(256.0))
    shown = (limits[0] <= values) & (values <= limits[1])
    decoded = decode(encode(values, grey), grey)
    torch.testing.assert_close(decoded[shown], values[shown], rtol=0, atol=1e-3)


def test_encode_undoes_decode_where_there_is_room(limits):
    u, grey = at_every_grey(torch.linspace(-1, 1, 401))
    room = torch.where(u > 0, limits[1] - GREYS[:, None].float(), GREYS[:, None].float() - limits[0])
    encoded = encode(decode(u, grey), grey)
    # A value of 255 is known to 1.5e-5, and u to the power 2/3 of that.
    torch.testing.assert_close(encoded[room > 0], u[room > 0], rtol=0, atol=2e-3)
    assert (encoded[room == 0] == 0).all(), "without room there is one position"


def test_positions_decode_to_values_that_srgb_can_show_and_reach_its_limits(limits):
    values = decode(*at_every_grey(torch.linspace(-1, 1, 101)))
    assert (values >= limits[0]).all() and (values <= limits[1]).all()
    assert torch.equal(values[..., :1], limits[0]) and torch.equal(values[..., -1:], limits[1])


def test_values_never_fall_as_positions_rise_not_even_by_rounding():
    random = torch.rand(500, generator=torch.Generator().manual_seed(0)) * 2 - 1
    neighbours = torch.nextafter(random, torch.tensor(2.0))
    u = torch.cat((random, neighbours, torch.tensor([-1.0, -1e-30, 0.0, 1e-30, 1.0]))).sort().values
    assert (decode(*at_every_grey(u)).diff(dim=-1) >= 0).all()


def test_grey_is_the_middle_and_what_cannot_be_shown_the_end():
    values, grey = at_every_grey(torch.tensor([-500.0, 500.0]))
    below, above = encode(values, grey).unbind(-1)
    assert set(below.unique().tolist()) <= {-1, 0} and set(above.unique().tolist()) <= {0, 1}
    grey_itself = GREYS.float()[:, None].expand(3, 256, 1)
    assert (encode(grey_itself, GREYS[:, None]) == 0).all()
    assert torch.equal(decode(torch.zeros(3, 256, 1), GREYS[:, None]), grey_itself)


def test_bins_are_finer_near_grey():
    edges = decode_channel(torch.linspace(0, 1, 9), torch.tensor(100), channel=0)
    assert (edges.diff().diff() > 0).all()


def test_channels_are_decoded_one_by_one_as_together():
    random = torch.Generator().manual_seed(1)
    u, grey = torch.rand(3, 4, 5, generator=random) * 2 - 1, torch.randint(256, (4, 5), generator=random)
    together = decode(u, grey.to(torch.uint8))
    for channel in range(3):
        assert torch.equal(together[channel], decode_channel(u[channel], grey.to(torch.uint8), channel))
