"""A fake of the program that asks the registry; the address says what it does. It imports nothing that takes time."""

import json
import os
import sys
import time
from pathlib import Path


def do(command: str, name: str, *arguments: str) -> None:
    """Follow a name: it hangs, dies, prints odd text, fails, or answers."""
    Path(os.environ["TMPDIR"], "download").write_text(name)
    match name:
        case "hang":
            partial = Path(os.environ["PID_FILE"] + ".partial")
            partial.write_text(str(os.getpid()))
            partial.rename(os.environ["PID_FILE"])
            time.sleep(60)
        case "die":
            print("a warning\nno answer from http://me:sec@ret@host:5000", file=sys.stderr)
            os._exit(3)
        case "odd":
            print("no JSON")
        case "lasting" | "passing":
            lasting = name == "lasting"
            print(json.dumps({"failure": f"{command} is {name}", "lasting": lasting, "answered": lasting}))
        case _ if command == "fetch":
            Path(arguments[0]).mkdir()
            print("{}")
        case _:
            print(json.dumps({"model": name, "version": 7, "package_sha256": "ab" * 32}))


if __name__ == "__main__":
    command, address, *arguments = sys.argv[1:]
    do(command, address.removeprefix("models:/").replace("@", "/").split("/")[0], *arguments)
