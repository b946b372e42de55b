"""Run docs/tour.ipynb from its first cell to its last, and write it with its outputs.

    python docs/tour.py [--output FILE]

Times, versions and the like are left out, so that a second run changes little.
"""

import argparse
import os
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

TOUR = Path(__file__).with_suffix(".ipynb")
KERNEL = "python3"  # of the environment that runs this script
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": KERNEL},
    "language_info": {"name": "python"},
}


def main() -> None:
    """Run the notebook in its folder, and write it over the old one or into another file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=TOUR, help="the file to write (default: docs/tour.ipynb)")
    output = parser.parse_args().output
    notebook = nbformat.read(TOUR, as_version=4)
    client = NotebookClient(
        notebook,
        kernel_name=KERNEL,
        resources={"metadata": {"path": str(TOUR.parent)}},
        timeout=600,  # seconds a cell may take
        record_timing=False,
        coalesce_streams=True,
        config=Config({"KernelManager": {"transport_encryption": "auto"}}),
    )
    with tempfile.TemporaryDirectory() as folder:  # stands for ~/.ipython, where the kernel would keep a history
        client.execute(env={**os.environ, "IPYTHONDIR": folder})
    notebook.metadata = nbformat.from_dict(METADATA)
    nbformat.write(notebook, output)


if __name__ == "__main__":
    main()
