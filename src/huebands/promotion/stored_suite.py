"""The suite of photos of a registered model, in the registry: read from there, checked, or put there."""

import atexit
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from huebands.params import Params
from huebands.promotion.suite import FILE, Suite, SuiteError, SuitePhoto, choose_suite, read_suite
from huebands.registry.connection import TrackingError
from huebands.registry.suites import StoredSuite, download_suite, find_suite, store_suite

PREPARED = Path("data/prepared")


def open_suite(model_name: str, settings: Params, dry_run: bool = False) -> tuple[Suite, int]:
    """The suite of a registered model and its number; a model without one gets one, unless nothing may be written.

    Raises:
        SuiteError: when it is not the one that was stored, or data/prepared has too few test photos to make one.
        ShardError: when there is none, and no data/prepared to make one of.
        TrackingError: when the registry fails.
    """
    stored = find_suite(model_name)
    if stored is None and dry_run:
        return choose_here(settings), 1
    if stored is None:
        stored = _store(model_name, choose_here(settings), settings, None)
    return read_stored(stored), stored.number


def new_suite(model_name: str, settings: Params) -> StoredSuite:
    """Make the test photos of data/prepared the suite of a registered model.

    Raises:
        SuiteError, ShardError: like `open_suite`.
        TrackingError: when the registry fails, or another program gives the model another suite at this time.
    """
    suite = choose_here(settings)
    stored = _store(model_name, suite, settings, find_suite(model_name))
    if stored.sha256 != suite.sha256:
        raise TrackingError(f"another program has given {model_name!r} suite {stored.number} meanwhile; try again")
    return stored


def _store(model_name: str, suite: Suite, settings: Params, earlier: StoredSuite | None) -> StoredSuite:
    return store_suite(model_name, settings.register.experiment, suite.folder, suite.sha256, earlier)


def choose_here(settings: Params) -> Suite:
    """A suite of the test photos of data/prepared, in a folder that is removed when the program ends."""
    folder = tempfile.mkdtemp(prefix="huebands-suite-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return choose_suite(PREPARED, settings.data.name, settings.promote.suite_photos, Path(folder) / "suite")


def read_stored(stored: StoredSuite) -> Suite:
    """Copy a suite from the registry and check it.

    Raises:
        SuiteError: when it is not the one that was stored.
    """
    return _check(stored, read_suite(download_suite(stored)))


def list_photos(stored: StoredSuite) -> Sequence[SuitePhoto]:
    """What a suite says of its photos, without the photos; raises like `read_stored`."""
    return _check(stored, read_suite(download_suite(stored, FILE))).photos


def _check(stored: StoredSuite, suite: Suite) -> Suite:
    if suite.sha256 != stored.sha256:
        raise SuiteError(
            f"suite {stored.number}: its description (={suite.sha256[:12]!r}) must be {stored.sha256[:12]!r}; restore"
            f" the files of run {stored.run_id}"
        )
    return suite
