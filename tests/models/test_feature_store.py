"""Maps of a frozen encoder on disk: equal to those computed, found again, bounded, and made anew where they are cut."""

import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from huebands.files import atomic
from huebands.models import feature_store
from huebands.models.encoders.encoder import Encoder
from huebands.models.feature_store import Features, FeatureStore, key_of

SIZE, COUNT = 32, 10
BYTES = 2 * (16 * 16**2 + 24 * 8**2 + 40 * 4**2 + 112 * 2**2 + 320)  # of a photo's maps
GIB = 2**30
WHAT = {"data": "d" * 64, "size": SIZE, "views": 1}


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder("efficientnet-lite0").eval().requires_grad_(False)


@pytest.fixture(autouse=True)
def chunks_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_store, "_CHUNK", 4 * BYTES)
    monkeypatch.setattr(feature_store, "_BATCH", 3)


class Photos:
    """Lightness of photos, and the rows that were asked for."""

    def __init__(self, seed: int = 0) -> None:
        self.asked: list[int] = []
        self.L_unit = torch.rand(COUNT, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(seed)) * 2 - 1

    def __call__(self, rows: list[int]) -> Tensor:
        self.asked += rows
        return self.L_unit[list(rows)]


def features_of(folder: Path, encoder: Encoder, photos: Photos, limit: float = 1.0, **what: object) -> Features:
    return FeatureStore(limit, folder).features(encoder, {**WHAT, **what}, COUNT, photos)


def check(features: Features, encoder: Encoder, photos: Photos, rows: Tensor) -> None:
    with torch.inference_mode():
        expected = encoder(photos.L_unit[rows])
    for part, expected_part in zip(features[rows], expected, strict=True):
        assert part.dtype == torch.float16
        # Half a unit of float16's last place, and float32's rounding in batches of another size.
        torch.testing.assert_close(part.float(), expected_part, rtol=2**-11, atol=1e-5)


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("limit", [1.0, 4.5 * BYTES / GIB, 0.0])
def test_maps_are_those_of_the_encoder_in_the_order_of_the_rows(tmp_path: Path, encoder: Encoder, limit: float) -> None:
    photos = Photos()
    features = features_of(tmp_path, encoder, photos, limit)
    assert len(features) == COUNT
    check(features, encoder, photos, torch.tensor([9, 0, 4, 3, 0, 7]))


def test_maps_are_computed_once(tmp_path: Path, encoder: Encoder) -> None:
    first, second = Photos(), Photos()
    kept = features_of(tmp_path, encoder, first)[torch.arange(COUNT)]
    assert sorted(set(first.asked)) == list(range(COUNT)) and len(first.asked) == COUNT + 1  # and one for the shapes
    found = features_of(tmp_path, encoder, second)[torch.arange(COUNT)]
    assert second.asked == [0]
    assert all(torch.equal(one, other) for one, other in zip(kept, found, strict=True))


def test_the_key_changes_with_everything_that_decides_the_maps(encoder: Encoder) -> None:
    torch.manual_seed(1)
    other_weights = Encoder("efficientnet-lite0").eval()
    same_weights = Encoder("efficientnet-lite0").eval()
    same_weights.load_state_dict(encoder.state_dict())
    keys = {
        key_of(encoder, WHAT),
        key_of(other_weights, WHAT),
        key_of(Encoder("efficientnet-lite1"), WHAT),
        *(key_of(encoder, {**WHAT, name: "other"}) for name in WHAT),
    }
    assert len(keys) == 3 + len(WHAT)
    assert key_of(same_weights, dict(reversed(WHAT.items()))) in keys


def test_statistics_of_the_normalisation_are_part_of_the_key(encoder: Encoder) -> None:
    other = Encoder("efficientnet-lite0").eval()
    other.load_state_dict(encoder.state_dict())
    other.network._bn0.running_mean[0] += 1
    assert key_of(other, WHAT) != key_of(encoder, WHAT)


@pytest.mark.parametrize("harm", ["cut", "emptied", "removed", "of another type"])
def test_a_harmed_chunk_is_made_anew_and_no_other(tmp_path: Path, encoder: Encoder, harm: str) -> None:
    path = features_of(tmp_path, encoder, Photos()).path(1)
    content = path.read_bytes()
    path.unlink()
    if harm != "removed":
        path.write_bytes(
            {"cut": content[:-1], "emptied": b"", "of another type": content.replace(b"<f2", b"<i2")}[harm]
        )
    photos = Photos()
    features = features_of(tmp_path, encoder, photos)
    assert photos.asked == [0, 4, 5, 6, 7]
    assert path.read_bytes() == content
    check(features, encoder, photos, torch.arange(COUNT))


def test_a_killed_computation_goes_on_where_it_was(tmp_path: Path, encoder: Encoder) -> None:
    class Killed(Photos):
        def __call__(self, rows: list[int]) -> Tensor:
            if 6 in rows:
                raise KeyboardInterrupt
            return super().__call__(rows)

    with pytest.raises(KeyboardInterrupt):
        features_of(tmp_path, encoder, Killed())
    photos = Photos()
    features = features_of(tmp_path, encoder, photos)
    assert photos.asked == [0, 4, 5, 6, 7, 8, 9], "the first chunk was complete"
    check(features, encoder, photos, torch.arange(COUNT))


def test_a_bound_keeps_whole_chunks_and_says_what_is_missing(tmp_path: Path, encoder: Encoder) -> None:
    photos = Photos()
    features = features_of(tmp_path, encoder, photos, limit=6.5 * BYTES / GIB)
    assert features.stored == 4 and size_of(tmp_path) <= 6.5 * BYTES
    assert features.shortfall is not None and features.shortfall.startswith("the maps of 4 of 10 views are on disk")
    photos.asked.clear()
    features[torch.tensor([1, 9])]
    assert photos.asked == [9]
    assert features_of(tmp_path, encoder, Photos()).shortfall is None


def test_what_was_not_used_for_longest_makes_room(tmp_path: Path, encoder: Encoder) -> None:
    limit = 2.5 * COUNT * BYTES / GIB
    for age, data in ((3, "first"), (2, "second")):
        folder = features_of(tmp_path, encoder, Photos(), limit, data=data).folder
        os.utime(folder, (folder.stat().st_mtime - age,) * 2)
    features_of(tmp_path, encoder, Photos(), limit, data="first")  # used again
    features_of(tmp_path, encoder, Photos(), limit, data="third")
    assert size_of(tmp_path) <= limit * GIB
    for data, rows in (("third", 0), ("first", 0), ("second", COUNT)):
        photos = Photos()
        features_of(tmp_path, encoder, photos, limit, data=data)
        assert len(photos.asked) == 1 + rows, data


def test_what_is_in_use_stays(tmp_path: Path, encoder: Encoder) -> None:
    limit, photos = 1.5 * COUNT * BYTES / GIB, Photos()
    used = features_of(tmp_path, encoder, photos, limit, data="used")
    other = features_of(tmp_path, encoder, Photos(), limit, data="other")
    assert other.stored == 4 and size_of(tmp_path) <= limit * GIB
    check(used, encoder, photos, torch.arange(COUNT))
    assert len(photos.asked) == COUNT + 1, "nothing was computed again"
    del used
    assert features_of(tmp_path, encoder, Photos(), limit, data="other").stored == COUNT


def test_a_smaller_bound_shrinks_an_entry(tmp_path: Path, encoder: Encoder) -> None:
    features_of(tmp_path, encoder, Photos())
    features = features_of(tmp_path, encoder, Photos(), limit=5 * BYTES / GIB)
    assert features.stored == 4 and size_of(tmp_path) <= 5 * BYTES


def test_chunks_are_written_as_a_whole(tmp_path: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*00000\.npy'"):
        features_of(tmp_path, encoder, Photos())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
