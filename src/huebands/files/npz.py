"""Archives of arrays that `numpy.load` reads: equal arrays, equal bytes."""

import io
import zipfile
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike


def encode(arrays: Mapping[str, ArrayLike], compression: int, level: int | None = None, comment: str = "") -> bytes:
    """Encode like `numpy.savez_compressed`, which knows one compression.

    Args:
        arrays: by name, without objects.
        compression: zipfile.ZIP_DEFLATED, which is fast, or zipfile.ZIP_LZMA, which is small.
        level: of Deflate, 1 to 9; None takes zlib's.
        comment: on the archive, which `numpy.load` passes over.

    Raises:
        ValueError: when an array has objects.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression, compresslevel=level) as archive:
        archive.comment = comment.encode("utf-8")
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:  # dated 1980
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)
    return buffer.getvalue()
