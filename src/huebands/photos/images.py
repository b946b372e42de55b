"""For callers that are being moved."""

from huebands.photos.read import (
    FORMATS as FORMATS,
)
from huebands.photos.read import (
    MAX_PIXELS as MAX_PIXELS,
)
from huebands.photos.read import (
    ImageError as ImageError,
)
from huebands.photos.read import (
    announced_pixels as announced_pixels,
)
from huebands.photos.read import (
    find_photos as find_photos,
)
from huebands.photos.read import (
    read_photo as read_photo,
)
from huebands.photos.write import encode_png as encode_png
from huebands.photos.write import encode_webp as encode_webp
from huebands.photos.write import write_png as write_png
