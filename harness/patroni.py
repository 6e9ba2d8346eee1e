"""Runs a PostgreSQL cluster by Patroni, with etcd and HAProxy, with the configurations in deploy/.

Only addresses, folders and passwords are replaced. There is no watchdog, and one etcd for three.
"""

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Any, Self

import httpx2
import psutil
import psycopg2

from harness.postgresql import DatabaseServer, find_binaries, unprivileged_user
from harness.processes import free_port, spawn
from harness.server import REPOSITORY

_PACKAGES = ("patroni[etcd3]>=4,<5", "psycopg2-binary>=2.9.13,<3")
_PROGRAMS = {"etcd": "etcd-server", "haproxy": "haproxy"}
_START_SECONDS = 90.0
_ETCD_HOSTS = "[192.0.2.1:2379, 192.0.2.2:2379, 192.0.2.3:2379]"
NODES = ("db1", "db2", "db3")


class NotInstalled(Exception):
    """What is missing, in one line."""


class _Node:
    """One server: the ports of its PostgreSQL and of its Patroni."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port, self.api_port = free_port(), free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def state(self) -> Mapping[str, Any]:
        """What Patroni says of itself. Empty if it does not answer."""
        with suppress(httpx2.HTTPError, ValueError):
            found: Mapping[str, Any] = httpx2.get(
                f"http://127.0.0.1:{self.api_port}/patroni", timeout=2
            ).json()
            return found
        return {}


class PatroniCluster:
    """Three servers. `url` leads to the primary by HAProxy, `standby_urls` to each while it is one.

    Raises NotInstalled.
    """

    def __init__(self) -> None:
        self._programs = {name: _find(name) for name in _PROGRAMS}
        self._user = unprivileged_user()
        self._password = secrets.token_hex(16)
        self._folder = Path(mkdtemp(prefix="counterfoil-patroni-"))
        self._folder.chmod(0o755)
        self._nodes = {name: _Node(name) for name in NODES}
        self._etcd_port = free_port()
        self._ports = [free_port() for _ in range(4)]
        self._others: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            self._python = self._install()
            self._start_etcd()
            for name in NODES:
                self.start(name)
            self._until(lambda: self.find_leader() is not None, "no leader")
            self._until(self.has_synchronous_standby, "no synchronous standby")
            self._start_haproxy()
            self.server = DatabaseServer(self._url(self._ports[0], "postgres"))
            self._until(self._leads_to_primary, "HAProxy does not lead to the primary")
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def standby_urls(self, database: str) -> list[str]:
        return [self._url(port, database) for port in self._ports[1:]]

    def direct_url(self, name: str, database: str) -> str:
        """The URL of one server, past HAProxy."""
        return self._url(self._nodes[name].port, database)

    def find_leader(self) -> str | None:
        """The server that is the primary, if it runs."""
        for name, node in self._nodes.items():
            state = node.state()
            if state.get("role") in {"primary", "master"} and state.get("state") == "running":
                return name
        return None

    def has_synchronous_standby(self) -> bool:
        """Whether there is a server that can be promoted, and one more."""
        states = [node.state() for node in self._nodes.values()]
        running = [one for one in states if one.get("state") in {"running", "streaming"}]
        return len(running) == len(NODES) and any(one.get("sync_standby") for one in running)

    def kill(self, name: str) -> None:
        """Kill Patroni and PostgreSQL at once, as by a loss of power."""
        process = self._nodes[name].process
        assert process is not None
        parent = psutil.Process(process.pid)
        for one in [parent, *parent.children(recursive=True), *self._of_folder(name)]:
            # Some end by the death of others.
            with suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait()
        self._nodes[name].process = None

    def start(self, name: str) -> None:
        """Start a server, for the first time or after it was killed."""
        node = self._nodes[name]
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        configuration = folder / "patroni.yml"
        configuration.write_text(self._configuration(node, folder))
        if self._user is not None:
            shutil.chown(folder, self._user)
            shutil.chown(configuration, self._user)
        node.process = spawn(
            [self._python.parent / "patroni", configuration],
            log=self._folder / f"{name}.log",
            user=self._user,
            death_signal=signal.SIGTERM,
            cwd=folder,
            env={**os.environ, "HOME": str(folder)},
        )

    def switch_over(self) -> None:
        """Let Patroni make the synchronous standby the primary."""
        leader = self.find_leader()
        assert leader is not None
        httpx2.post(
            f"http://127.0.0.1:{self._nodes[leader].api_port}/switchover",
            json={"leader": leader},
            timeout=60,
        ).raise_for_status()

    def _leads_to_primary(self) -> bool:
        """HAProxy takes every server for one that is up until it has asked."""
        with suppress(psycopg2.Error):
            for _ in NODES * 2:
                with closing(psycopg2.connect(self.server.url("postgres"))) as connection:
                    cursor = connection.cursor()
                    cursor.execute("SELECT pg_is_in_recovery()")
                    if cursor.fetchall() != [(False,)]:
                        return False
            return True
        return False

    def _configuration(self, node: _Node, folder: Path) -> str:
        return _fill(
            (REPOSITORY / "deploy" / "patroni.yml").read_text(),
            {
                "name: db1": f"name: {node.name}",
                "192.0.2.1:8008": f"127.0.0.1:{node.api_port}",
                "192.0.2.1:5432": f"127.0.0.1:{node.port}",
                _ETCD_HOSTS: f"[127.0.0.1:{self._etcd_port}]",
                "/var/lib/postgresql/counterfoil": f"{folder}/data",
                "/usr/lib/postgresql/15/bin": str(find_binaries()),
                "/var/run/postgresql": str(folder),
                "192.0.2.0/24": "127.0.0.1/32",
                "password: replace-this-too\n": f"password: {self._password}\n",
                "password: replace-this\n": f"password: {self._password}\n",
                "mode: required": "mode: off",
            },
        )

    def _start_etcd(self) -> None:
        peer = f"http://127.0.0.1:{free_port()}"
        client = f"http://127.0.0.1:{self._etcd_port}"
        options = {
            "data-dir": f"{self._folder}/etcd",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
        }
        command = [self._programs["etcd"], *(f"--{name}={one}" for name, one in options.items())]
        self._others.append(spawn(command, log=self._folder / "etcd.log"))

    def _start_haproxy(self) -> None:
        replaced = {
            f"192.0.2.{number}:5432 check port 8008": (
                f"127.0.0.1:{node.port} check port {node.api_port}"
            )
            for number, node in enumerate(self._nodes.values(), 1)
        }
        replaced |= {f"127.0.0.1:{5000 + n}": f"127.0.0.1:{p}" for n, p in enumerate(self._ports)}
        configuration = self._folder / "haproxy.cfg"
        configuration.write_text(
            _fill((REPOSITORY / "deploy" / "haproxy.cfg").read_text(), replaced)
        )
        command = [self._programs["haproxy"], "-db", "-f", str(configuration)]
        self._others.append(spawn(command, log=self._folder / "haproxy.log"))

    def _install(self) -> Path:
        """Patroni in an environment of its own. Returns its Python."""
        # What is in root's home cannot be run by the user of the servers.
        python = sys.executable if self._user is None else "/usr/bin/python3"
        environment = self._folder / "environment"
        commands = (
            [python, "-m", "venv", str(environment)],
            [str(environment / "bin" / "pip"), "install", "--quiet", *_PACKAGES],
        )
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise NotInstalled(f"Patroni cannot be installed: {done.stderr.strip()[-200:]!r}")
        return environment / "bin" / "python"

    def _url(self, port: int, database: str) -> str:
        return f"postgresql://postgres:{self._password}@127.0.0.1:{port}/{database}"

    def _until(self, condition: Callable[[], bool], complaint: str) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                logs = [path.read_text()[-1500:] for path in self._folder.glob("*.log")]
                raise RuntimeError("\n".join([complaint, *logs]))
            time.sleep(0.1)

    def _of_folder(self, name: str) -> list[psutil.Process]:
        """The processes of a server: PostgreSQL does not end with its Patroni."""
        data = str(self._folder / name)
        found = []
        for one in psutil.process_iter():
            with suppress(psutil.Error):
                if any(data in part for part in one.cmdline()):
                    found += [one, *one.children(recursive=True)]
        return found

    def _stop(self) -> None:
        for name, node in self._nodes.items():
            if node.process is not None:
                self.kill(name)
        for process in self._others:
            process.kill()
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _find(program: str) -> str:
    path = shutil.which(program, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin"]))
    if path is None:
        raise NotInstalled(f"{program} is not installed: apt-get install {_PROGRAMS[program]}")
    return path


def _fill(text: str, replaced: Mapping[str, str]) -> str:
    """All at once: what replaces one text may contain another."""
    for old in replaced:
        assert old in text, f"the configuration no longer holds {old!r}"
    pattern = "|".join(re.escape(old) for old in sorted(replaced, key=len, reverse=True))
    return re.sub(pattern, lambda found: replaced[found[0]], text)
