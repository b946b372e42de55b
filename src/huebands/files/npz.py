"""Archives of arrays that `numpy.load` reads: equal arrays, equal bytes."""

import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Rows:
    """An array that comes in parts, of some rows each.

    Attributes:
        shape: of the array.
        dtype: of its elements.
        parts: in order; together they have its shape.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    parts: Iterable[NDArray[Any]]

    def write(self, file: IO[bytes]) -> None:
        """Write as `numpy.lib.format.write_array` does."""
        head = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(file, head)
        for part in self.parts:
            file.write(np.ascontiguousarray(part).data)


@dataclass(frozen=True, kw_only=True)
class Archive:
    """An archive to be written like `numpy.savez_compressed`, which knows one compression.

    Attributes:
        arrays: by name, without objects; one that comes in parts can be written once.
        compression: zipfile.ZIP_DEFLATED, which is fast, or zipfile.ZIP_LZMA, which is small.
        level: of Deflate, 1 to 9; None takes zlib's.
        comment: on the archive, which `numpy.load` passes over.
    """

    arrays: Mapping[str, ArrayLike | Rows]
    compression: int
    level: int | None = None
    comment: str = ""

    def write(self, file: IO[bytes]) -> None:
        """Write into a file that can be searched.

        Raises:
            ValueError: when an array has objects.
        """
        with zipfile.ZipFile(file, "w", self.compression, compresslevel=self.level) as archive:
            archive.comment = self.comment.encode("utf-8")
            for name, array in self.arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:  # dated 1980
                    if isinstance(array, Rows):
                        array.write(member)
                    else:
                        np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)

    def __bytes__(self) -> bytes:
        """The archive in memory."""
        buffer = io.BytesIO()
        self.write(buffer)
        return buffer.getvalue()


def encode(arrays: Mapping[str, ArrayLike], compression: int) -> bytes:
    """Encode an archive, see `Archive`."""
    return bytes(Archive(arrays=arrays, compression=compression))
