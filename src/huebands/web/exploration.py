"""What the page draws from: colours, and the whole family of bands, so that any confidence shows at once."""

from huebands.colorizer import Colorizer, Examined
from huebands.web.answers import pack
from huebands.web.jobs import Job


def pack_exploration(colorizer: Colorizer, job: Job, examined: Examined) -> bytes:
    """Pack what the page draws from."""
    return pack(colorizer, job.name, colorizer.promise(examined, job.alpha, job.mode))
