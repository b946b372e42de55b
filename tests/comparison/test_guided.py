"""Candidates that are helped: hints of the true colours, and the nearest training photo as a reference."""

from dataclasses import replace

import numpy as np
import pytest

from huebands.colorize.colorizer import Colorizer
from huebands.colorize.exemplar import Exemplar
from huebands.colorize.hint_law import START
from huebands.colorize.hints import HintRequest, Point
from huebands.comparison.candidates import Candidate
from huebands.comparison.compare import compare
from huebands.comparison.guided import helped_candidates
from huebands.comparison.own_photos import ComparisonError
from huebands.photos.grey import GreyPhoto
from painted_hints import with_hints
from reference_colours import with_reference
from tiny_photos import PlainScorer, photo_set, tiny_photo, write_prepared


def candidate(name, colorizer):
    def colorize(_, grey_HW):
        return colorizer.colours.predict(GreyPhoto(grey_HW))

    return Candidate(name, "package", "A model.", {"package": "tiny"}, colorize, True, colorizer)


def results(photos, candidates):
    coloured = {}
    for one in candidates:
        coloured[one.name] = [one.colorize(photo.name, photo.grey) for photo in photos.photos]
    return coloured


def test_a_model_that_takes_hints_is_compared_with_and_without(tiny_package, tmp_path):
    plain, photos = candidate("painter", with_hints(tiny_package)), photo_set(2)
    (helped,) = helped_candidates([plain], photos.photos, 12, False, tmp_path)
    assert (helped.name, helped.params["hints"]) == ("painter+hints", 12)
    coloured = results(photos, [plain, helped])
    again = results(photos, helped_candidates([plain], photos.photos, 12, False, tmp_path))
    for photo, before, after, same in zip(
        photos.photos, coloured["painter"], coloured["painter+hints"], again["painter+hints"], strict=True
    ):
        np.testing.assert_array_equal(after, same)
        errors = [np.abs(rgb.astype(int) - photo.truth).mean() for rgb in (before, after)]
        assert errors[1] < errors[0], "true colours help"


def test_a_model_that_follows_hints_by_its_density_is_compared_as_it_is_used(tiny_package, tmp_path):
    model, photos = Colorizer.load(tiny_package), photo_set(1)
    law = replace(START, kernel=replace(START.kernel, prior=0.2))
    calibration = replace(model.calibration, law=law, certificate={})
    model = Colorizer(replace(model.package, hints_calibration=calibration), model.source)
    (helped,) = helped_candidates([candidate("follower", model)], photos.photos, 12, False, tmp_path)
    photo = photos.photos[0]
    shown = helped.colorize(photo.name, photo.grey)
    errors = [np.abs(rgb.astype(int) - photo.truth).mean() for rgb in (model.predict(GreyPhoto(photo.grey)).rgb, shown)]
    assert errors[1] < errors[0], "true colours help"


def test_hints_are_of_the_truth(tiny_package, tmp_path, monkeypatch):
    requests = []
    place = HintRequest.on

    def record(request, photo):
        requests.append(request)
        return place(request, photo)

    monkeypatch.setattr(HintRequest, "on", record)
    photos = photo_set(2)
    results(
        photos, helped_candidates([candidate("painter", with_hints(tiny_package))], photos.photos, 5, False, tmp_path)
    )
    for photo, request in zip(photos.photos, requests, strict=True):
        assert len(request.points) == 5
        assert all(point == Point(point.x, point.y, tuple(photo.truth[point.y, point.x])) for point in request.points)
    assert requests[0].points != requests[1].points


def test_a_reference_is_the_nearest_training_photo(tiny_package, tmp_path):
    photos = photo_set(3)
    others = [tiny_photo(seed) for seed in range(10, 13)]
    # One of the training photos is the photo itself: no other can be nearer.
    train = [*others, photos.photos[1].truth]
    prepared = write_prepared(tmp_path / "prepared", {"train": train, "test": others[:1]})
    model = with_reference(tiny_package)
    (helped,) = helped_candidates([candidate("copyist", model)], photos.photos, 0, True, prepared)
    assert helped.name == "copyist+reference"
    coloured = helped.colorize(photos.photos[1].name, photos.photos[1].grey)
    expected = model.colorize(photos.photos[1].grey, like=Exemplar.read(photos.photos[1].truth)).rgb
    np.testing.assert_array_equal(coloured, expected)


def test_helped_candidates_are_scored_beside_the_others(tiny_package, tmp_path):
    plain, photos = candidate("painter", with_hints(tiny_package)), photo_set(2)
    helped = helped_candidates([plain], photos.photos, 3, False, tmp_path)
    comparison = compare(photos, [plain, *helped], PlainScorer(), lambda line: None)
    assert list(comparison.estimates) == ["painter", "painter+hints"]


@pytest.mark.parametrize(
    ("hints", "references", "message"),
    [
        (201, False, r"hints \(=201\) must be in \[0, 200\]"),
        (-1, False, r"hints \(=-1\) must be in \[0, 200\]"),
        (3, False, r"hints \(=3\) need a model that takes hints; none of the candidates does"),
        (0, True, r"references need a model that takes a reference photo; none of the candidates does"),
    ],
)
def test_help_that_nobody_can_take_is_refused(tmp_path, hints, references, message):
    grey = Candidate("grey", "grey", "", {}, lambda _, grey_HW: np.repeat(grey_HW[..., None], 3, axis=2))
    with pytest.raises(ComparisonError, match=message):
        helped_candidates([grey], photo_set(1).photos, hints, references, tmp_path)
