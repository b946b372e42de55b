"""Archives of arrays: NumPy reads them, equal arrays give equal bytes, compression and level are as asked for."""

import io
import zipfile

import numpy as np
import pytest

from huebands.files import npz

ARRAYS = {"alpha": np.float64(0.1), "G": np.random.default_rng(0).integers(0, 20, (200, 300)).cumsum(1, np.uint8)}


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_numpy_reads_what_was_encoded(compression: int) -> None:
    content = npz.encode(ARRAYS, compression)
    assert content == npz.encode(ARRAYS, compression)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {compression}
    with np.load(io.BytesIO(content), allow_pickle=False) as read:
        assert list(read) == list(ARRAYS)
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(read[name], array, strict=True)


def test_the_level_counts() -> None:
    assert bytes(npz.Archive(arrays=ARRAYS, compression=zipfile.ZIP_DEFLATED, level=1)) != npz.encode(
        ARRAYS, zipfile.ZIP_DEFLATED
    )


def test_objects_are_refused() -> None:
    with pytest.raises(ValueError, match="Object arrays"):
        npz.encode({"x": np.array([None])}, zipfile.ZIP_DEFLATED)


def test_an_array_that_comes_in_parts_is_written_as_one() -> None:
    array = np.arange(60, dtype=np.float16).reshape(10, 6)
    parts = npz.Rows(array.shape, array.dtype, (array[start : start + 3] for start in range(0, 10, 3)))
    archive = npz.Archive(arrays={"x": parts}, compression=zipfile.ZIP_DEFLATED)
    assert bytes(archive) == npz.encode({"x": array}, zipfile.ZIP_DEFLATED)
