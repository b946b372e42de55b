"""Near-duplicates share a group, no scene sits in two splits, and no change of the photos moves an old one."""

import hashlib
import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest

from huebands.data import splits
from huebands.data.assignments import Assignment
from huebands.data.params import SPLITS
from huebands.data.splits import Candidate, Placement, split_of

FRACTIONS = {"train": 0.6, "val": 0.1, "calibration": 0.16, "test": 0.14}
DISTANCE = 10


def place(candidates: list[Candidate], remembered: Sequence[Assignment] = ()) -> list[Placement]:
    return splits.place(candidates, 5.0, 1.1, DISTANCE, "salt", FRACTIONS, remembered)


def remember(candidates: list[Candidate], placements: list[Placement]) -> list[Assignment]:
    pairs = zip(candidates, placements, strict=True)
    return [Assignment(c.id, c.phash, p.group, p.split) for c, p in pairs if not p.reason]


def candidate(number: int, phash: int, chroma: float = 20.0, tone: float = 8.0) -> Candidate:
    identity = hashlib.sha256(b"%d" % number).hexdigest()[:16]
    return Candidate(id=identity, phash=phash, chroma_mean=chroma, tone_spread=tone)


def flip_bits(phash: int, bits: range) -> int:
    return phash ^ sum(1 << bit for bit in bits)


def crowd(rng: np.random.Generator, count: int) -> list[Candidate]:
    """Photos around a few scenes, so wide apart that near-duplicates meet across groups and splits."""
    scenes = rng.integers(2**63, size=count // 8)
    hashes = []
    for scene in rng.choice(scenes, size=count):
        bits = rng.choice(64, size=rng.integers(0, 10), replace=False)
        hashes.append(int(scene) ^ sum(1 << int(bit) for bit in bits))
    chroma = rng.uniform(2, 40, size=count)
    return [candidate(number, phash, float(chroma[number])) for number, phash in enumerate(hashes)]


def two_photos(bits_apart: int, same_split: bool) -> tuple[Candidate, Candidate]:
    first = candidate(0, 0)
    far = flip_bits(0, range(bits_apart))
    for other in (candidate(number, far) for number in itertools.count(1)):
        chosen = {split_of(photo.id, "salt", FRACTIONS) for photo in (first, other)}
        if (len(chosen) == 1) == same_split:
            return first, other
    raise AssertionError("unreachable: the numbers never end")


def test_near_duplicates_share_the_first_ones_group() -> None:
    leader, edge = candidate(0, 0), candidate(1, flip_bits(0, range(DISTANCE)))
    beyond = candidate(2, flip_bits(0, range(20, 20 + DISTANCE + 1)))
    placements = place([leader, edge, beyond])
    assert [placement.group for placement in placements] == [leader.id, leader.id, beyond.id]
    assert placements[0].split == placements[1].split


def test_a_near_duplicate_of_a_member_joins_its_group() -> None:
    chain = [candidate(number, flip_bits(0, range(8 * number))) for number in range(4)]
    assert {placement.group for placement in place(chain)} == {chain[0].id}


def test_a_photo_that_bridges_two_splits_is_set_aside_with_the_reason() -> None:
    first, second = two_photos(bits_apart=16, same_split=False)
    bridge = candidate(10_000, flip_bits(0, range(8)))
    placements = place([first, second, bridge])
    assert placements[:2] == place([first, second])
    assert placements[2].split == placements[2].group == ""
    assert "bridges splits" in placements[2].reason
    assert first.id in placements[2].reason and second.id in placements[2].reason


def test_a_photo_near_two_groups_of_one_split_joins_the_first() -> None:
    first, second = two_photos(bits_apart=16, same_split=True)
    between = candidate(10_000, flip_bits(0, range(8)))
    assert [placement.group for placement in place([first, second, between])] == [
        first.id,
        second.id,
        first.id,
    ]
    assert place([second, first, between])[2].group == second.id


def test_a_set_aside_photo_neither_leads_nor_bridges() -> None:
    grey = candidate(0, 0, chroma=4.99)
    tinted = candidate(1, 0, tone=1.09)
    colour = candidate(2, 0, chroma=5.0, tone=1.1)
    placements = place([grey, tinted, colour])
    assert [placement.reason for placement in placements] == [
        "near-grey: mean chroma 4.9900 is below 5",
        "tinted: tone spread 1.0900 is below 1.1",
        "",
    ]
    assert [placement.split for placement in placements[:2]] == ["", ""]
    assert placements[2].group == colour.id


@pytest.mark.parametrize("seed", range(5))
def test_adding_photos_moves_no_old_one(seed: int) -> None:
    candidates = crowd(np.random.default_rng(seed), 400)
    placements = place(candidates)
    assert any("bridges" in placement.reason for placement in placements), "the crowd must hold bridging photos"
    for count in (1, 57, 200, 399):
        assert place(candidates[:count]) == placements[:count]


@pytest.mark.parametrize("seed", range(5))
def test_no_change_moves_a_remembered_photo(seed: int) -> None:
    rng = np.random.default_rng(seed)
    candidates = crowd(rng, 400)
    old, new = candidates[:250], candidates[250:]
    placed = {placement.id: placement for placement in place(old) if not placement.reason}
    remembered = remember(old, place(old))
    kept = [old[index] for index in sorted(rng.choice(250, size=180, replace=False))]
    mixed = [[*new, *kept][index] for index in rng.permutation(len(new) + len(kept))]
    forgotten = {placement.id: placement for placement in place(mixed)}
    assert any(forgotten[photo.id] != placed[photo.id] for photo in kept if photo.id in placed), "else nothing is shown"
    again = {placement.id: placement for placement in place(mixed, remembered)}
    assert {photo.id: again[photo.id] for photo in kept if photo.id in placed} == {
        photo.id: placed[photo.id] for photo in kept if photo.id in placed
    }
    assert remembered == remember(old, place(old, remembered)), "running again changes nothing"


def test_a_copy_joins_the_split_of_a_photo_that_is_gone() -> None:
    gone, copy = candidate(0, 0), candidate(1, flip_bits(0, range(3)))
    for split in SPLITS:  # three of them are not what the hash of either photo says
        (placement,) = place([copy], [Assignment(gone.id, gone.phash, gone.id, split)])
        assert (placement.group, placement.split) == (gone.id, split)


def test_a_photo_between_two_remembered_splits_is_set_aside() -> None:
    first, second = two_photos(bits_apart=16, same_split=False)
    bridge = candidate(10_000, flip_bits(0, range(8)))
    (placement,) = place([bridge], remember([first, second], place([first, second])))
    assert "bridges splits" in placement.reason and first.id in placement.reason and second.id in placement.reason


def test_of_two_remembered_near_duplicates_the_one_in_the_earlier_split_stays() -> None:
    """As two merged branches leave them."""
    photos = [candidate(number, flip_bits(0, range(number))) for number in range(3)]
    chosen = ["test", "train", "train"]
    remembered = [Assignment(c.id, c.phash, c.id, split) for c, split in zip(photos, chosen, strict=True)]
    for order in itertools.permutations(range(3)):
        placements = place(photos, [remembered[index] for index in order])
        assert [placement.split for placement in placements] == ["", "train", "train"]
        assert "in two splits: remembered in test, near-duplicate of" in placements[0].reason


@pytest.mark.parametrize("seed", range(5))
def test_no_scene_sits_in_two_splits(seed: int) -> None:
    candidates = crowd(np.random.default_rng(100 + seed), 400)
    grouped = [(c, p) for c, p in zip(candidates, place(candidates), strict=True) if not p.reason]
    assert len({p.split for _, p in grouped}) == len(SPLITS)
    for (one, one_placed), (other, other_placed) in itertools.combinations(grouped, 2):
        if (one.phash ^ other.phash).bit_count() <= DISTANCE or one_placed.group == other_placed.group:
            assert one_placed.split == other_placed.split, f"{one} and {other} are one scene"


def test_splits_meet_their_fractions() -> None:
    count = 20_000
    chosen = [split_of(candidate(n, 0).id, "salt", FRACTIONS) for n in range(count)]
    for split, share in FRACTIONS.items():
        tolerance = 5 * math.sqrt(share * (1 - share) / count)
        assert chosen.count(split) / count == pytest.approx(share, abs=tolerance), split


def test_another_salt_is_another_split() -> None:
    ids = [candidate(number, 0).id for number in range(200)]
    assert [split_of(i, "a", FRACTIONS) for i in ids] != [split_of(i, "b", FRACTIONS) for i in ids]


def test_a_split_of_share_zero_stays_empty() -> None:
    fractions = {"train": 0.5, "val": 0.0, "calibration": 0.5, "test": 0.0}
    chosen = {split_of(candidate(number, 0).id, "salt", fractions) for number in range(500)}
    assert chosen == {"train", "calibration"}
