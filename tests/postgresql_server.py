"""A real PostgreSQL, in a folder of its own; as root it runs as another user, because it refuses to run as root."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

USER, DATABASE = "mlflow", "mlflow"
_PROGRAMS = ("initdb", "pg_ctl", "pg_dump", "createdb")


def find_programs() -> Path | None:
    """The folder of PostgreSQL's programs, the newest; None where they are not installed."""
    folders = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))]
    on_path = shutil.which("initdb")
    folders += [Path(on_path).parent] if on_path else []
    return next((folder for folder in folders if all((folder / name).is_file() for name in _PROGRAMS)), None)


class PostgreSql:
    """A server with an empty database, to which one user signs in with a password."""

    def __init__(self, password: str) -> None:
        programs = find_programs()
        assert programs is not None
        self._programs, self.password = programs, password
        # Not in pytest's folder, which another user may not enter.
        self._folder = Path(tempfile.mkdtemp(prefix="huebands-postgresql-", dir="/tmp"))
        self._user = _other_user() if os.geteuid() == 0 else None
        secret = self._folder / "password"
        secret.write_text(password)
        if self._user is not None:
            for path in (self._folder, secret):
                os.chown(path, self._user.pw_uid, self._user.pw_gid)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._data = str(self._folder / "data")
        options = ("--auth=scram-sha-256", f"--pwfile={secret}", f"--username={USER}", "--encoding=UTF8", "--no-sync")
        self._run("initdb", *options, f"--pgdata={self._data}")
        self.start()
        self._run("createdb", *self._sign_in(), DATABASE)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = f"-p {self.port} -k {self._folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        log = self._folder / "log"
        self._run("pg_ctl", f"--pgdata={self._data}", f"--log={log}", f"--options={settings}", "--wait", "start")

    def stop(self) -> None:
        """Kill it: nothing is brought to an end."""
        self._run("pg_ctl", f"--pgdata={self._data}", "--mode=immediate", "stop")

    def dump(self) -> str:
        """All rows and tables, as SQL."""
        return self._run("pg_dump", *self._sign_in(), "--inserts", DATABASE)

    def remove(self) -> None:
        """Stop it, and remove its folder."""
        self.stop()
        shutil.rmtree(self._folder)

    def _sign_in(self) -> tuple[str, ...]:
        return ("--host=127.0.0.1", f"--port={self.port}", f"--username={USER}")

    def _run(self, program: str, *arguments: str) -> str:
        as_user = [] if self._user is None else ["setpriv", "--reuid", self._user.pw_name, "--regid",
                                                 str(self._user.pw_gid), "--clear-groups"]  # fmt: skip
        # The server keeps its standard output open, so that a pipe would never end.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [*as_user, str(self._programs / program), *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={"PGPASSWORD": self.password, "PATH": os.environ["PATH"], "LC_ALL": "C"},
            )
            output.seek(0)
            text = output.read()
        assert done.returncode == 0, text
        return text


def _other_user() -> pwd.struct_passwd:
    names = {user.pw_name: user for user in pwd.getpwall()}
    return names.get("postgres", names["nobody"])
