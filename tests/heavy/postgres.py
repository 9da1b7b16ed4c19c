"""A PostgreSQL of the test's own, which it can stop and start again in the middle of things."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

#: Who runs it where the tests run as root: PostgreSQL refuses to.
ACCOUNT = "postgres"
#: Nothing of this survives the test: no need to wait for a disk.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": 250,
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
}


def _programs() -> Path:
    """Find PostgreSQL's programs, which Debian does not put on the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[-3].zfill(4))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    assert initdb, "the heavy tests need PostgreSQL: apt-get install postgresql"
    return Path(initdb).resolve().parent


class Postgres:
    """A database server on a free loopback port, in a temporary folder; a context manager."""

    def __init__(self) -> None:
        self._bin = _programs()
        self._folder = Path(tempfile.mkdtemp(prefix="tiktok-postgres-"))
        self._data = self._folder / "data"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    def __enter__(self) -> Self:
        if os.geteuid() == 0:
            account = pwd.getpwnam(ACCOUNT)
            os.chown(self._folder, account.pw_uid, account.pw_gid)
        self._run("initdb", "-D", self._data, "-U", "airflow", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """Give SQLAlchemy's address of a database."""
        return f"postgresql+psycopg2://airflow@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> None:
        """Make an empty database."""
        self._run("createdb", *self._server(), database)

    def drop(self, database: str) -> None:
        """Remove a database, whoever is still connected."""
        self._run("dropdb", *self._server(), "--force", database)

    def dump(self, database: str) -> str:
        """Give all that a database holds, as text."""
        return self._run("pg_dump", *self._server(), "--inserts", database)

    def query(self, database: str, sql: str) -> str:
        """Give the answer to a query, one line a row."""
        return self._run("psql", *self._server(), "-At", "-c", sql, database)

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        settings = {**SETTINGS, "port": self.port, "unix_socket_directories": self._folder}
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        log = self._folder / "log"
        self._run("pg_ctl", "-D", self._data, "-l", log, "-o", options, "-w", "-s", "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop without a word to anybody (``immediate``: as by a power cut), or in order (``fast``)."""
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", self._data, "-m", mode, "-w", "-s", "stop")

    def outage(self, seconds: float, mode: str = "immediate") -> None:
        """Be away for a while."""
        self.stop(mode)
        time.sleep(seconds)
        self.start()

    def _server(self) -> tuple[str, ...]:
        return ("-h", "127.0.0.1", "-p", str(self.port), "-U", "airflow")

    def _run(self, program: str, *arguments: object) -> str:
        command = [str(self._bin / program), *map(str, arguments)]
        if os.geteuid() == 0:
            command = ["runuser", "-u", ACCOUNT, "--", *command]
        # a file, not a pipe: the server that pg_ctl leaves behind would hold a pipe open
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", check=False
            )
            output.seek(0)
            text = output.read()
        assert done.returncode == 0, f"{program}: {text[-2000:]}"
        return text
