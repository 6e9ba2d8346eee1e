"""Each proxy with the configuration that we ship for it, in front of a service and an echo."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.echo import Echo, echo
from harness.proxies import PROXIES
from harness.server import Server
from tests.support.proxied import House


@pytest.fixture(scope="module")
def database(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("proxies") / "counterfoil.db"
    shutil.copy(sqlite_template, path)
    return path


@pytest.fixture(scope="module")
def service(database: Path) -> Iterator[Server]:
    environment = {
        "COUNTERFOIL_BCRYPT_ROUNDS": "4",
        "COUNTERFOIL_TRUSTED_PROXIES": "127.0.0.1",
        # Each test registers a user, and all of them from one address.
        "COUNTERFOIL_LOGIN_THROTTLE": "off",
        "COUNTERFOIL_BROWSER_SESSIONS": "on",
    }
    with Server.launch(f"sqlite:///{database}", environment=environment) as server:
        yield server


@pytest.fixture(scope="module")
def application() -> Iterator[Echo]:
    with echo() as server:
        yield server


@pytest.fixture(scope="module", params=PROXIES, ids=lambda proxy: proxy.program)
def house(
    request: pytest.FixtureRequest,
    service: Server,
    application: Echo,
    database: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    folder = tmp_path_factory.mktemp(request.param.program)
    ports = {"service_port": service.port, "application_port": application.port}
    with request.param(folder, **ports) as proxy:
        found = House(service, application, proxy, database)
        yield found
        found.close()
