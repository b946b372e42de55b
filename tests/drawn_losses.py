"""Losses whose expected value is known, and how far a rate among draws may lie above its bound.

Monte Carlo tests have fixed seeds. A rate of r among N draws may be above its bound by 3 standard errors,
3 sqrt(r (1 - r) / N), which chance alone exceeds about once in a thousand seeds.
"""

import math

import numpy as np

DRAWS = 2000
# Skewed losses with their expected value: a generator, the shape of what is drawn.
FAMILIES = {
    "rare whole losses": (0.05, lambda generator, shape: (generator.random(shape) < 0.05).astype(float)),
    "frequent whole losses": (0.4, lambda generator, shape: (generator.random(shape) < 0.4).astype(float)),
    "a long tail": (0.1, lambda generator, shape: generator.beta(0.2, 1.8, shape)),
    "mostly lost": (0.9, lambda generator, shape: generator.beta(1.8, 0.2, shape)),
    "little spread": (0.2, lambda generator, shape: generator.beta(20, 80, shape)),
}


def allowed(rate, draws):
    return rate + 3 * math.sqrt(rate * (1 - rate) / draws)


def curves(seed, photos, steps=40):
    """Losses max(0, x - t) at thresholds t in 0..1, x of density 0.3 x^-0.7: (photos, steps)."""
    drawn = np.random.default_rng(seed).random((photos, 1)) ** (1 / 0.3)
    return np.maximum(0, drawn - np.linspace(0, 1, steps))


def curve_risks(steps=40):
    """The expected value of `curves`: the integral of P(x > s) = 1 - s^0.3 over s from t to 1."""
    thresholds = np.linspace(0, 1, steps)
    return (1 - thresholds) - (1 - thresholds**1.3) / 1.3


def pixels(seed, photos, steps=40):
    """Losses 1 where x > t, else 0, x uniform, at thresholds t in 0..1: (photos, steps), of risk 1 - t."""
    drawn = np.random.default_rng(seed).random((photos, 1))
    return (drawn > np.linspace(0, 1, steps)).astype(float)
