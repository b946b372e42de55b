"""Trains recipes one after the other, and measures each on the val photos.

    python studies/colours/train.py RECIPES.json DATA WEIGHTS OUT

DATA holds what pack.py wrote, WEIGHTS the encoders' ImageNet weights as NAME.safetensors. OUT gets NAME.json, and
NAME.safetensors of the recipes that keep their weights.
"""

import json
import math
import os
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import measures
import torch
import torch.nn.functional as F
from recipes import Recipe, read
from torch import Tensor, nn

import photos
from huebands.color import from_bytes, srgb_to_lab, to_units
from huebands.models.networks import dual_head
from huebands.models.parts import ab_bins
from huebands.models.parts.ab_bins import class_weights
from huebands.models.parts.spectral_patchgan import SpectralPatchGAN, gradient_penalty, hinge_loss
from huebands.models.weights import read_weights, write_weights
from huebands.training.ema import ExponentialMovingAverage

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
TEMPERATURES, CHROMA_GAINS = (1.0, 0.7, 0.5, 0.38, 0.25), (1.0, 1.15, 1.3, 1.5)
R1_EVERY = 8  # steps
# The memory format of feature maps: which is faster depends on the device.
FORMAT = torch.contiguous_format if os.environ.get("STUDY_FORMAT") == "contiguous" else torch.channels_last


def main() -> None:
    """Read the arguments, train, write."""
    recipes, data, weights, out = (Path(argument) for argument in sys.argv[1:5])
    out.mkdir(parents=True, exist_ok=True)
    torch.backends.cudnn.benchmark = True
    for recipe in read(recipes):
        start = time.monotonic()
        report, network = train(recipe, data, weights)
        (out / f"{recipe.name}.json.part").write_text(json.dumps(report, indent=1) + "\n")
        (out / f"{recipe.name}.json.part").rename(out / f"{recipe.name}.json")
        if recipe.keep:
            write_weights(out / f"{recipe.name}.safetensors", halved(network))
        print(f"{recipe.name}: {report['steps']} steps, {report['photos_per_second']} photos/s", end="")
        print(f", {time.monotonic() - start:.0f} s", end="")
        for variant in ("mean x1", "annealed 0.38"):
            means = report["val"][variant]["all"]
            figures = " ".join(f"{means[name]:.2f}" for name in ("ciede2000", "psnr", "colourfulness_error"))
            print(f" | {variant}: {figures}", end="")
        print(flush=True)


def train(recipe: Recipe, data: Path, weights: Path) -> tuple[dict[str, Any], dual_head.Network]:
    """Follow a recipe; gives the report and the averaged network."""
    torch.manual_seed(recipe.seed)
    random = torch.Generator(DEVICE).manual_seed(recipe.seed)
    train_photos = load(data, tuple(recipe.parts))
    count = recipe.photos or len(train_photos.rgb_N3SS)
    drawn_N = photos.sampling_weights(train_photos, recipe.shares)[:count]
    augmentation = photos.Augmentation(recipe.crop, recipe.border, recipe.tone)

    def batch() -> tuple[Tensor, Tensor]:
        rows = torch.multinomial(drawn_N, recipe.batch, replacement=True, generator=random)
        return photos.augment(train_photos.rgb_N3SS[rows], recipe.size, augmentation, random)

    network = build(recipe, weights)
    run = torch.compile(network) if recipe.compiled else network
    average = ExponentialMovingAverage(network, recipe.ema)
    groups = [{**group, "lr": recipe.rate * group.pop("share")} for group in network.parameter_groups()]
    fused = DEVICE.type == "cuda"
    optimizers = [torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=recipe.decay, fused=fused)]
    discriminator = None
    if recipe.adversarial > 0:
        discriminator = SpectralPatchGAN(filters=64, layers=2).to(DEVICE)
        rate, betas = recipe.discriminator_rate, (0.5, 0.99)
        optimizers.append(torch.optim.AdamW(discriminator.parameters(), rate, betas, weight_decay=0.0, fused=fused))
    rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    bin_weights_Q = weigh_bins(recipe, batch)

    # The device looks for its fastest convolutions before the clock runs.
    with torch.autocast(DEVICE.type, torch.bfloat16) if fused else nullcontext():
        ab_unit, logits = run(batch()[0].contiguous(memory_format=FORMAT))
    (ab_unit.float().mean() + logits.float().mean()).backward()
    synchronize()
    start, history, step = time.monotonic(), [], 0
    halfway: tuple[float, int] | None = None
    while True:
        progress = max(step / recipe.steps, (time.monotonic() - start) / recipe.seconds)
        if progress >= 1:
            break
        for optimizer, highest in zip(optimizers, rates, strict=True):
            for group, rate in zip(optimizer.param_groups, highest, strict=True):
                group["lr"] = rate * schedule(progress, recipe.warm_up)
        L_unit, truth = batch()
        truth = F.avg_pool2d(truth, recipe.stride)
        L_small = F.avg_pool2d(L_unit, recipe.stride)
        with torch.autocast(DEVICE.type, torch.bfloat16) if fused else nullcontext():
            ab_unit, logits = run(L_unit.contiguous(memory_format=FORMAT))
        ab_unit, logits = ab_unit.float(), logits.float()
        weight = bin_weights_Q[ab_bins.nearest(truth)]
        losses = {"huber": huber(ab_unit, truth, recipe.delta, weight if recipe.rebalanced_huber else None)}
        losses["classes"] = cross_entropy(logits, truth, weight)
        loss = recipe.huber * losses["huber"] + recipe.classes * losses["classes"]
        if discriminator is not None and progress >= recipe.adversarial_from:
            real, fake = torch.cat((L_small, truth), dim=1), torch.cat((L_small, ab_unit), dim=1)
            discriminator.requires_grad_(False)
            losses["adversarial"] = -discriminator(fake).mean()
            loss = loss + recipe.adversarial * losses["adversarial"]
            discriminator.requires_grad_(True)
            losses["discriminator"] = hinge_loss(discriminator(real), discriminator(fake.detach()))
            judged = losses["discriminator"]
            if recipe.r1 > 0 and step % R1_EVERY == 0:
                judged = judged + recipe.r1 / 2 * R1_EVERY * gradient_penalty(discriminator, real)
            optimizers[1].zero_grad(set_to_none=True)
            judged.backward()
            optimizers[1].step()
        optimizers[0].zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_([p for group in groups for p in group["params"]], 1.0)
        optimizers[0].step()
        step += 1
        average.update(network, step)
        if halfway is None and progress >= 0.5:
            synchronize()
            halfway = (time.monotonic(), step)
        if step % 50 == 0 or step == 1:
            history.append({"step": step, **{name: round(value.item(), 4) for name, value in losses.items()}})
    synchronize()
    seconds = time.monotonic() - start
    since, steps = halfway or (start, 0)
    report = {
        "recipe": asdict(recipe),
        "device": torch.cuda.get_device_name() if fused else "CPU",
        "train_photos": count,
        "weights": sum(parameter.numel() for parameter in network.parameters()),
        "steps": step,
        "seconds": round(seconds, 1),
        "photos_per_second": round((step - steps) * recipe.batch / (start + seconds - since)),  # of the second half
        "history": history,
        "val": validate(average.network, load_val(data, recipe.val)),
    }
    return report, average.network


@cache
def load(data: Path, parts: tuple[int, ...]) -> photos.Photos:
    """Parts of the train photos, once they are there."""
    paths = [data / f"train-{number}.npz" for number in parts]
    while not all(path.exists() for path in paths):
        time.sleep(0.2)
    loaded = photos.load(paths, DEVICE)
    print(f"{len(loaded.rgb_N3SS)} train photos", flush=True)
    return loaded


@cache
def load_val(data: Path, name: str) -> photos.Photos:
    """The val photos."""
    return photos.load([data / f"{name}.npz"], DEVICE)


def build(recipe: Recipe, weights: Path) -> dual_head.Network:
    """The network, with ImageNet weights in its encoder."""
    params = dual_head.Params(
        name="dual_head", encoder=recipe.encoder, filters=recipe.filters, stride=recipe.stride, dropout=recipe.dropout,
        norm="batch", shown="mean", temperature=0.38,
        encoder_rate=0.0 if recipe.learns == "none" else recipe.encoder_rate,
    )  # fmt: skip
    network = dual_head.Network(params, recipe.size)
    state = {name: tensor.float() for name, tensor in read_weights(weights / f"{recipe.encoder}.safetensors").items()}
    network.encoder.network.load_state_dict(state)
    if recipe.learns == "none":
        network.encoder.requires_grad_(False)
    if recipe.learns == "last":
        coarsest = network.encoder.network._last_blocks[-2] + 1
        for name, parameter in network.encoder.network.named_parameters():
            block = name.split(".")[1] if name.startswith("_blocks") else "0"
            parameter.requires_grad_(int(block) >= coarsest)
    return network.to(DEVICE, memory_format=FORMAT).train()


def weigh_bins(recipe: Recipe, batch: Any) -> Tensor:
    """Weigh the bins by how often they occur in a sample of the training batches."""
    counts = torch.zeros(ab_bins.BINS)
    for _ in range(max(4096 // recipe.batch, 4)):
        truth = F.avg_pool2d(batch()[1], recipe.stride)
        counts += torch.bincount(ab_bins.nearest(truth).flatten(), minlength=ab_bins.BINS).cpu()
    return class_weights(counts, recipe.uniform).to(DEVICE)


def huber(ab_unit: Tensor, truth: Tensor, delta: float, weight_BHW: Tensor | None) -> Tensor:
    """Huber's loss over delta: the absolute error, for errors well above delta."""
    loss_BHW = F.huber_loss(ab_unit, truth, delta=delta, reduction="none").mean(dim=1) / delta
    return loss_BHW.mean() if weight_BHW is None else (weight_BHW * loss_BHW).mean()


def cross_entropy(logits: Tensor, truth: Tensor, weight_BHW: Tensor) -> Tensor:
    """Cross-entropy of the softly encoded truth, each pixel weighted."""
    bins, shares = ab_bins.spread(truth)
    likelihoods = F.log_softmax(logits, dim=1).gather(1, bins)
    return -(weight_BHW * (shares * likelihoods).sum(dim=1)).mean()


def schedule(progress: float, warm_up: float) -> float:
    """Up to 1 linearly, down to 0 as a cosine."""
    if progress < warm_up:
        return (progress + 1e-3) / warm_up
    return 0.5 + 0.5 * math.cos(math.pi * (progress - warm_up) / (1 - warm_up))


@torch.inference_mode()
def validate(network: dual_head.Network, val: photos.Photos) -> dict[str, dict[str, dict[str, float]]]:
    """Measure every variant of the colours on the val photos: variant -> all, or a source -> figure -> mean."""
    collected: dict[str, list[dict[str, Tensor]]] = {}
    for rgb in val.rgb_N3SS.split(64):
        L_unit, _ = to_units(srgb_to_lab(from_bytes(rgb)))
        with torch.autocast(DEVICE.type, torch.bfloat16) if DEVICE.type == "cuda" else nullcontext():
            ab_unit, logits = network(L_unit.contiguous(memory_format=FORMAT))
        colours_by_variant = {f"mean x{gain:g}": gain * ab_unit.float() for gain in CHROMA_GAINS}
        colours_by_variant |= {f"annealed {t:g}": ab_bins.annealed_mean(logits, t) for t in TEMPERATURES}
        colours_by_variant["grey"] = torch.zeros_like(ab_unit, dtype=torch.float32)
        for variant, colours in colours_by_variant.items():
            collected.setdefault(variant, []).append(measures.figures(rgb, L_unit, colours))
    result: dict[str, dict[str, dict[str, float]]] = {}
    for variant, batches in collected.items():
        values = {name: torch.cat([figures[name] for figures in batches]) for name in batches[0]}
        chosen = {"all": torch.ones_like(val.sources_N, dtype=torch.bool)}
        chosen |= {name: val.sources_N == index for index, name in enumerate(val.names)}
        result[variant] = {
            group: {name: round(value[rows].mean().item(), 4) for name, value in values.items()}
            for group, rows in chosen.items()
            if rows.any()
        }
    return result


def halved(network: nn.Module) -> dict[str, Tensor]:
    """Kernels in half precision, other tensors unchanged."""
    state = network.state_dict().items()
    return {name: (tensor.half() if tensor.ndim == 4 else tensor).contiguous() for name, tensor in state}


def synchronize() -> None:
    """Wait for the device."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
