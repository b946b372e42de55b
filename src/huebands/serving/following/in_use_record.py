"""Which model is in use, written down for an HTTP process that starts anew.

The record lies beside the folders of the models, among temporary files. The folder of the model that it names is kept.
"""

import shutil
from pathlib import Path

from huebands.files import atomic
from huebands.package.schema import PackageError
from huebands.serving.served_model import ServedModel, decode


class InUseRecord:
    """The record.

    Args:
        first: model that the service was started with; the folders of those after it lie beside its folder.

    Attributes:
        folder: folder of the record and of the models' folders.
        model: model that was written or read last.
    """

    def __init__(self, first: ServedModel) -> None:
        self.model = first
        self.folder = Path(first.folder).parent
        self._path = self.folder / "in-use.json"

    def read(self) -> ServedModel:
        """The model that was written last, the first one where none was.

        Raises:
            PackageError: when the record cannot be read.
        """
        try:
            self.model = decode(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError) as error:
            raise PackageError(f"{self._path}: cannot be read ({error}); start the service again") from error
        return self.model

    def write(self, model: ServedModel) -> None:
        """Write down which model is in use.

        Raises:
            OSError: when it cannot be written; it names the model before.
        """
        atomic.write_text(self._path, model.encode() + "\n")
        self.model = model

    def remove_others(self) -> None:
        """Remove whatever lies beside the record and its model's folder, and is not being written."""
        for path in self.folder.iterdir():
            # Hidden are the partial files and folders of `files.atomic`, which removes those of killed writers.
            if path not in (self._path, Path(self.model.folder)) and not path.name.startswith("."):
                shutil.rmtree(path, ignore_errors=True)
