"""What every family promises: one contract over all of conf/model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from composition import CONF, composed
from huebands import params
from huebands.color import srgb_to_lab, to_units
from huebands.colorize.colorizer import Colorizer
from huebands.conformal.guarantee import MODES, Guarantee
from huebands.models.interface import Condition, Network
from huebands.models.registry import network_names, objective_names
from huebands.package.generator import write_generator
from huebands.package.read import read_package
from huebands.package.schema import CARD, CERTIFICATE, PackageError
from huebands.package.write import assemble
from huebands.photos.grey import GreyPhoto
from huebands.training.learner import set_up
from huebands.training.report import describe
from tiny_package import PHOTOS, calibrate_tiny, write_tiny_density

FAMILIES = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
STEPS = 10


@pytest.fixture(scope="module", params=FAMILIES)
def settings(request: pytest.FixtureRequest) -> params.Params:
    """A family at its own size, trained in float32 at a rate that suits few steps."""
    chosen = params.from_mapping(composed(f"model={request.param}"))
    return replace(chosen, train=replace(chosen.train, precision="float32", learning_rate=1e-3))


@pytest.fixture(scope="module")
def photos(settings: params.Params) -> tuple[torch.Tensor, torch.Tensor]:
    """Four photos whose colour follows their lightness: L_unit (4, 1, S, S) and ab_unit (4, 2, S, S)."""
    ramp = torch.linspace(0.1, 0.9, settings.model.image_size)
    shade = torch.stack([ramp.expand(len(ramp), -1).rot90(turns) for turns in range(4)])
    return to_units(srgb_to_lab(torch.stack([shade, shade**2, 0.5 * shade], dim=1)))


@pytest.fixture(scope="module")
def trained(settings: params.Params, photos: tuple[torch.Tensor, torch.Tensor]) -> tuple[Network, list[float]]:
    """A network after ten steps on the four photos, and its loss in each."""
    torch.manual_seed(0)
    network, objective, learners = set_up(settings.model, settings.train)
    L_unit, ab_unit = photos
    objective.prepare([ab_unit])
    learners.train()
    losses = []
    for _ in range(STEPS):
        figures = objective.step(learners, Condition(L_unit_B1SS=L_unit), ab_unit, epoch=settings.train.epochs)
        assert set(figures) == set(objective.figures) >= {"generator", "clipped", "generator_gradient"}
        losses.append(figures["generator"].item())
    return network.eval().requires_grad_(False), losses


@pytest.fixture(scope="module")
def written(
    settings: params.Params, trained: tuple[Network, list[float]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Its package, without calibration."""
    folder = tmp_path_factory.mktemp("family") / "trained"
    config = describe(settings.data, settings.model, settings.train, "1" * 64, "0" * 40)
    write_generator(folder, trained[0].state_dict(), config)
    return folder


def colours(network: Network, L_unit: torch.Tensor, seed: int = 0) -> torch.Tensor:
    with torch.inference_mode():
        return network.colours(Condition(L_unit_B1SS=L_unit), torch.Generator().manual_seed(seed))


def test_every_file_of_a_network_or_objective_belongs_to_a_family() -> None:
    chosen = [composed(f"model={family}")["model"] for family in FAMILIES]
    assert {model["network"]["name"] for model in chosen} == set(network_names())
    assert {model["objective"]["name"] for model in chosen} == set(objective_names())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_small_pipeline_takes_it(family: str) -> None:
    small = params.from_mapping(composed(f"model={family}", "experiment=small"))
    assert small.model.image_size == 64 and small.train.epochs == 2


def test_ten_steps_lower_the_loss(trained: tuple[Network, list[float]], settings: params.Params) -> None:
    _, losses = trained
    if settings.model.objective.name == "untrained":
        assert losses == [0.0] * STEPS
    else:
        assert losses[-1] < losses[0]


def test_colours_are_finite_ab_of_the_photos_size(
    trained: tuple[Network, list[float]], photos: tuple[torch.Tensor, ...]
) -> None:
    ab_unit = colours(trained[0], photos[0])
    assert ab_unit.shape == photos[1].shape and ab_unit.dtype == torch.float32
    assert ab_unit.isfinite().all() and ab_unit.abs().max() <= 1


def test_equal_seeds_give_equal_colours(trained: tuple[Network, list[float]], photos: tuple[torch.Tensor, ...]) -> None:
    assert torch.equal(colours(trained[0], photos[0]), colours(trained[0], photos[0]))


def test_hints_change_the_colours_where_a_network_takes_them(
    trained: tuple[Network, list[float]], photos: tuple[torch.Tensor, ...]
) -> None:
    network, (L_unit, _) = trained[0], photos
    side = L_unit.shape[-1]
    mask = torch.zeros_like(L_unit)
    mask[..., side // 4 : side // 4 + 2, side // 4 : side // 4 + 2] = 1

    def painted(hints: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            condition = Condition(L_unit_B1SS=L_unit, hints_B3SS=hints)
            return network.colours(condition, torch.Generator().manual_seed(0))

    plain, hinted = colours(network, L_unit), painted(torch.cat((0.5 * mask, -0.5 * mask, mask), dim=1))
    assert torch.equal(hinted, plain) != network.takes_hints
    torch.testing.assert_close(painted(torch.zeros(len(L_unit), 3, side, side)), plain, rtol=0, atol=1e-6)


def test_a_reference_gives_its_colours_where_a_network_takes_one(
    trained: tuple[Network, list[float]], photos: tuple[torch.Tensor, ...]
) -> None:
    network, (L_unit, ab_unit) = trained[0], photos
    # The photo itself in colour is the reference from which most can be learned.
    condition = Condition(L_unit_B1SS=L_unit, exemplar_B3SS=torch.cat((L_unit, ab_unit), dim=1))
    with torch.inference_mode():
        alike = network.colours(condition, torch.Generator().manual_seed(0))
    plain = colours(network, L_unit)
    if network.takes_exemplar:
        assert (alike - ab_unit).abs().mean() < 0.5 * (plain - ab_unit).abs().mean()
    else:
        assert torch.equal(alike, plain)


def test_samples_are_colourings_of_their_own_and_come_back_with_their_seed(
    trained: tuple[Network, list[float]], photos: tuple[torch.Tensor, ...]
) -> None:
    network, condition = trained[0], Condition(L_unit_B1SS=photos[0])

    def drawn(seed: int) -> torch.Tensor:
        with torch.inference_mode():
            return network.samples(condition, 2, torch.Generator().manual_seed(seed))

    if not network.gives_samples:
        with pytest.raises(NotImplementedError, match=r"network \(=\w+\) gives one colouring"):
            drawn(0)
        return
    samples = drawn(0)
    assert samples.shape == (2, *photos[1].shape) and samples.dtype == torch.float32
    assert samples.isfinite().all() and samples.abs().max() <= 1
    assert torch.equal(samples, drawn(0))
    assert not torch.equal(samples[0], samples[1]) and not torch.equal(samples, drawn(1))
    assert torch.equal(colours(network, photos[0]), colours(network, photos[0])), "the network is what it was"


def test_a_package_keeps_the_colours(
    trained: tuple[Network, list[float]], photos: tuple[torch.Tensor, ...], written: Path
) -> None:
    read = read_package(written).generator
    # Kernels are stored in half precision: 11 bits of each, through some twenty layers.
    torch.testing.assert_close(colours(read, photos[0]), colours(trained[0], photos[0]), rtol=0, atol=0.02)


def test_the_compiled_core_equals_the_eager_one(written: Path, photos: tuple[torch.Tensor, ...]) -> None:
    read = read_package(written).generator
    # Sums of float32 come in another order.
    torch.testing.assert_close(colours(read.compiled(), photos[0]), colours(read, photos[0]), rtol=0, atol=1e-4)


def test_weights_of_another_shape_are_refused(
    settings: params.Params, trained: tuple[Network, list[float]], tmp_path: Path
) -> None:
    weights = trained[0].state_dict()
    name, tensor = next(iter(weights.items()), ("weight", torch.zeros(1, 1)))
    config = describe(settings.data, settings.model, settings.train, "1" * 64, "0" * 40)
    write_generator(tmp_path, weights | {name: torch.cat([tensor, tensor])}, config)
    with pytest.raises(PackageError, match="does not hold the weights of"):
        read_package(tmp_path)


def test_bands_of_a_calibration_hold(written: Path, tmp_path: Path) -> None:
    write_tiny_density(tmp_path / "distribution")
    calibrate_tiny(tmp_path / "calibration", read_package(written), tmp_path / "distribution", photos=PHOTOS)
    folder = tmp_path / "package"
    assemble(folder, written, tmp_path / "distribution", tmp_path / "calibration", "# Card\n")
    assert (folder / CARD).is_file() and (folder / CERTIFICATE).is_file()
    colorizer, random, alpha = Colorizer.load(folder), np.random.default_rng(7), 0.3
    missed: dict[str, list[float]] = {mode: [] for mode in MODES}
    for _ in range(12):
        true = random.integers(0, 256, (20, 20, 3), dtype=np.uint8)  # as the calibration photos were drawn
        prediction = colorizer.predict(GreyPhoto.of_rgb(true))
        for mode in MODES:
            result = colorizer.choose(prediction, Guarantee(alpha=alpha, mode=mode))
            outside = np.stack(
                [
                    (true[..., index] < band[..., 0]) | (true[..., index] > band[..., 1])
                    for index, band in enumerate(result.bands.values())
                ]
            )
            missed[mode].append(float(outside.any(axis=0).mean() if mode == "joint" else outside.mean()))
    for mode, shares in missed.items():
        # At most alpha on average over photos; 12 photos of 400 independent pixels stray by 0.01 at four deviations.
        assert np.mean(shares) <= alpha + 0.02, mode
        assert np.mean(shares) > 0, "bands that hold everything promise nothing"
