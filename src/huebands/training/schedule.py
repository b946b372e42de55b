"""The learning rate over the training."""

from huebands.training.params import TrainParams


def learning_rate(params: TrainParams, step: int, steps_per_epoch: int) -> float:
    """Warm up linearly, hold, and decay linearly to zero, as pix2pix does over its second half.

    Args:
        params: `learning_rate`, `warmup_epochs`, `epochs` and `decay`.
        step: counted from 1.
        steps_per_epoch: at least 1.
    """
    warmup = params.warmup_epochs * steps_per_epoch
    decay = round(params.decay * params.epochs) * steps_per_epoch
    left = params.epochs * steps_per_epoch - step + 1
    return params.learning_rate * min(1.0, step / max(warmup, 1), left / max(decay, 1))
