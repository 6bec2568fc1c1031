"""A real, temporary Panoramax: geovisio with PostgreSQL and PostGIS.

It comes from PyPI and runs on this machine.

It is not among what the project installs. To have it (Debian 12):

    apt-get install postgresql-15 postgresql-15-postgis-3
    python -m venv geovisio && geovisio/bin/pip install geovisio==2.15.1
    GEODS_GEOVISIO=$PWD/geovisio/bin python -m pytest tests/system/test_panoramax_contract.py
"""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

import requests

BACKEND = pathlib.Path(os.environ.get("GEODS_GEOVISIO", "geovisio/bin"), "panoramax_backend")
DATABASES = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
POSTGIS = sorted(pathlib.Path("/usr/share/postgresql").glob("*/extension/postgis.control"))


def missing() -> str:
    """Returns the missing parts, as the reason to skip a test; empty if none."""
    if not BACKEND.is_file():
        return "geovisio is not installed: GEODS_GEOVISIO names no folder with panoramax_backend"
    if not DATABASES or not POSTGIS:
        return "PostgreSQL with PostGIS is not installed"
    return "" if os.getuid() or shutil.which("runuser") else "PostgreSQL does not run as root, and there is no runuser"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def database():
    """Yields the URL of an empty PostGIS database.

    It may not run as root, so it then runs as postgres.
    """
    tools, port, as_user = DATABASES[-1], free_port(), [] if os.getuid() else ["runuser", "-u", "postgres", "--"]
    # In a folder of its own, as the folders of pytest are closed to other users.
    with tempfile.TemporaryDirectory() as folder:
        if as_user:
            shutil.chown(folder, "postgres")
        data, where = f"{folder}/data", ("-h", "127.0.0.1", "-p", port, "-U", "postgres")

        def run(tool: str, *words: object) -> None:
            # Output to a file: a server that inherits a pipe keeps it open.
            with open(f"{folder}/output", "ab") as log:
                command = [*as_user, str(tools / tool), *map(str, words)]
                subprocess.run(command, cwd=folder, stdout=log, stderr=log, check=True)

        run("initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync")
        # No byte here is worth keeping, so nothing is flushed.
        settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "-D", data, "-w", "-l", f"{folder}/log", "-o", f"{settings} -c timezone=UTC", "start")
        try:
            run("createdb", *where, "panoramax")
            for sql in ("ALTER DATABASE panoramax SET TIMEZONE TO 'UTC'", "CREATE EXTENSION postgis"):
                run("psql", *where, "-q", "-d", "panoramax", "-c", sql)
            yield f"postgres://postgres@127.0.0.1:{port}/panoramax"
        finally:
            run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")


@contextlib.contextmanager
def serving(folder: pathlib.Path):
    """Gives the address of an empty Panoramax."""
    with database() as url:
        port = free_port()
        given = {"DB_URL": url, "FS_URL": str(folder / "files"), "FLASK_SECRET_KEY": "of-a-test"}
        given |= {"API_PICTURES_LICENSE_SPDX_ID": "CC-BY-SA-4.0", "PICTURE_PROCESS_THREADS_LIMIT": "1"}
        given |= {
            "API_PICTURES_LICENSE_URL": "https://creativecommons.org/licenses/by-sa/4.0/",
            "API_LOG_LEVEL": "warning",
        }
        environment = os.environ | given
        (folder / "files").mkdir()
        with open(folder / "log", "wb") as log:
            outputs = {"env": environment, "stdout": log, "stderr": log}
            subprocess.run([BACKEND, "db", "upgrade"], check=True, **outputs)
            words = [BACKEND, "run", "--host", "127.0.0.1", "--port", str(port)]
            with subprocess.Popen(words, **outputs) as process:
                try:
                    base = f"http://127.0.0.1:{port}"
                    wait_for(f"{base}/api/", process)
                    yield base
                finally:
                    process.terminate()


def wait_for(url: str, process: subprocess.Popen, timeout_s: float = 120) -> None:
    """Waits until a server answers."""
    end_s = time.monotonic() + timeout_s
    while True:
        assert process.poll() is None, "the server ended"
        assert time.monotonic() < end_s, "the server does not answer"
        with contextlib.suppress(requests.RequestException):
            if requests.get(url, timeout=5).ok:
                return
        time.sleep(0.3)
