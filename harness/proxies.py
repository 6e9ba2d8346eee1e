"""Runs real reverse proxies with the configurations in deploy/, of which only addresses change."""

import os
import re
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.processes import free_port, spawn, wait_until
from harness.programs import require_program
from harness.server import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
START_SECONDS = 15.0
STOP_SECONDS = 15.0


class Proxy(ABC):
    """A proxy in front of a service and an application, each on a port of 127.0.0.1.

    `app_url` is the protected application behind the proxy, `auth_url` the service behind it.
    """

    program: str

    def __init__(self, folder: Path, *, service_port: int, application_port: int) -> None:
        self.folder = folder
        self.program_path = require_program(self.program)
        self.app_port, self.auth_port = free_port(), free_port()
        self.app_url = f"http://127.0.0.1:{self.app_port}"
        self.auth_url = f"http://127.0.0.1:{self.auth_port}"
        self._ports = {"8000": service_port, "9000": application_port}
        self.replacements: Mapping[str, str] = {}
        """Further text of the shipped configuration, and what replaces it."""
        self._log = folder / "proxy.log"
        self._process: subprocess.Popen[bytes]

    @abstractmethod
    def addresses(self) -> Mapping[str, str]:
        """Text of the shipped configuration, and its replacement in a test."""

    @abstractmethod
    def command(self, configuration: Path) -> list[str]:
        """The command that runs the proxy in the foreground."""

    def configure(self, shipped: Path) -> Path:
        text = shipped.read_text()
        new = {**self._upstreams(), **self.addresses(), **self.replacements}
        for old in new:
            assert old in text, f"{shipped.name} no longer holds {old!r}"
        # All at once: the port that replaces one text may begin with another text.
        pattern = "|".join(re.escape(old) for old in sorted(new, key=len, reverse=True))
        configuration = self.folder / shipped.name
        configuration.write_text(re.sub(pattern, lambda found: new[found[0]], text))
        return configuration

    def _upstreams(self) -> dict[str, str]:
        return {f"127.0.0.1:{old}": f"127.0.0.1:{new}" for old, new in self._ports.items()}

    def _answers(self) -> bool:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.app_port), 5).close()
            return True
        return False

    def __enter__(self) -> Self:
        shipped = next(DEPLOY.glob(f"*{self.program}*"), DEPLOY / "Caddyfile")
        self._process = spawn(
            self.command(self.configure(shipped)),
            log=self._log,
            env={**os.environ, "HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder)},
            cwd=self.folder,
        )
        if not wait_until(self._answers, self._process, seconds=START_SECONDS):
            self._kill()
            raise RuntimeError(f"{self.program} does not start:\n{self._log.read_text()}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self._kill()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(STOP_SECONDS)


class Nginx(Proxy):
    """Its shipped file is included by a nginx.conf, as from /etc/nginx/conf.d/."""

    program = "nginx"

    def addresses(self) -> Mapping[str, str]:
        return {
            "0.0.0.0:80;": f"127.0.0.1:{self.auth_port};",
            "0.0.0.0:8081;": f"127.0.0.1:{self.app_port};",
        }

    def command(self, configuration: Path) -> list[str]:
        main = self.folder / "main.conf"
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = " ".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in kinds)
        main.write_text(
            f"{'user root;' if os.geteuid() == 0 else ''} pid {self.folder}/pid;"
            f" error_log stderr; events {{}}"
            f" http {{ access_log off; {temporary} include {configuration}; }}"
        )
        return [self.program_path, "-e", "stderr", "-c", str(main), "-g", "daemon off;"]


class ComposedNginx(Nginx):
    """As in compose.yaml, with the template that its image fills in.

    `front_proxy` is the address of a proxy in front of it, `metrics_url` what only the network of
    the containers reaches.
    """

    def __init__(self, folder: Path, *, service_port: int, front_proxy: str) -> None:
        super().__init__(folder, service_port=service_port, application_port=free_port())
        self._front_proxy = front_proxy
        self._metrics_port = free_port()
        self.metrics_url = f"http://127.0.0.1:{self._metrics_port}/metrics"

    def command(self, configuration: Path) -> list[str]:
        template = (DEPLOY / "compose" / "nginx.conf.template").read_text()
        filled = template.replace("${FRONT_PROXY}", self._front_proxy)
        listen = f"listen 127.0.0.1:{self._metrics_port};"
        with configuration.open("a") as file:
            file.write(filled.replace("listen 9100;", listen))
        return super().command(configuration)


class PlainNginx(Nginx):
    """Forwards everything to the service as nginx does by default, but for the options given.

    With `is_secure` it listens for TLS. With `keep_alive` it keeps connections to the service open.
    """

    def __init__(
        self,
        folder: Path,
        *,
        service_port: int,
        options: str = "",
        is_secure: bool = False,
        keep_alive: bool = False,
    ) -> None:
        super().__init__(folder, service_port=service_port, application_port=0)
        self._options = options
        self._listen = f"127.0.0.1:{self.app_port}{' ssl' if is_secure else ''}"
        self._location = "proxy_http_version 1.1; proxy_set_header Connection '';"
        if not keep_alive:
            self._location = ""

    def configure(self, shipped: Path) -> Path:
        configuration = self.folder / shipped.name
        configuration.write_text(
            f"upstream service {{ server 127.0.0.1:{self._ports['8000']}; keepalive 64; }}"
            f" server {{ listen {self._listen}; {self._options}"
            f" location / {{ {self._location} proxy_pass http://service; }} }}"
        )
        return configuration


class Caddy(Proxy):
    """Without TLS, because Caddy obtains certificates only for names in the public DNS."""

    program = "caddy"

    def addresses(self) -> Mapping[str, str]:
        return {
            "auth.example.org": self.auth_url,
            "app.example.org": self.app_url,
            "default_bind 0.0.0.0": "default_bind 127.0.0.1",
            "127.0.0.1:2019": f"127.0.0.1:{free_port()}",
        }

    def command(self, configuration: Path) -> list[str]:
        options = ["--adapter", "caddyfile", "--config", str(configuration)]
        return [self.program_path, "run", *options]


class Balancer(Caddy):
    """In front of several services, of which it passes over those that say they are not ready."""

    def __init__(self, folder: Path, *service_ports: int) -> None:
        super().__init__(folder, service_port=service_ports[0], application_port=0)
        self._services = " ".join(f"127.0.0.1:{port}" for port in service_ports)

    def configure(self, shipped: Path) -> Path:
        configuration = self.folder / shipped.name
        configuration.write_text(
            "{\n admin off\n default_bind 127.0.0.1\n}\n"
            f"{self.app_url} {{\n reverse_proxy {self._services} {{\n"
            "  health_uri /health/ready\n  health_interval 500ms\n }\n}\n"
        )
        return configuration


class Envoy(Proxy):
    """Protects an application only; it does not forward requests to the service."""

    program = "envoy"

    def addresses(self) -> Mapping[str, str]:
        address = f"address: 127.0.0.1, port_value: {self.app_port}"
        return {"address: 0.0.0.0, port_value: 10000": address}

    def _upstreams(self) -> dict[str, str]:
        return {
            **{f"port_value: {old}": f"port_value: {new}" for old, new in self._ports.items()},
            "http://127.0.0.1:8000": f"http://127.0.0.1:{self._ports['8000']}",
        }

    def command(self, configuration: Path) -> list[str]:
        options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
        return [self.program_path, "-c", str(configuration), *options]


PROXIES: tuple[type[Proxy], ...] = (Nginx, Caddy, Envoy)
