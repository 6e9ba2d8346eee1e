"""nginx as in compose.yaml: the real address of the client, and metrics within its network."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from harness.proxies import ComposedNginx
from harness.server import Server
from tests.support.client import PASSWORD

SETTINGS = {
    "COUNTERFOIL_BCRYPT_ROUNDS": "4",
    "COUNTERFOIL_TRUSTED_PROXIES": "127.0.0.1",
    "COUNTERFOIL_METRICS_TOKEN": "of the tests",
}


@pytest.fixture(scope="module")
def service(database: Path) -> Iterator[Server]:
    with Server.launch(f"sqlite:///{database}", environment=SETTINGS) as server:
        account = {"email": "ada@example.org", "password": PASSWORD, "name": "Ada"}
        httpx2.post(f"{server.url}/register", json=account)
        yield server


@pytest.mark.parametrize(
    ("front_proxy", "seen"), [("127.0.0.1", "203.0.113.9"), ("172.30.83.1", "127.0.0.1")]
)
def test_the_address_is_that_of_the_client_only_if_a_proxy_in_front_names_it(
    service: Server, tmp_path: Path, front_proxy: str, seen: str
) -> None:
    with ComposedNginx(tmp_path, service_port=service.port, front_proxy=front_proxy) as nginx:
        headers = {"X-Forwarded-For": "198.51.100.7, 203.0.113.9"}
        login = {"username": "ada@example.org", "password": PASSWORD}
        answer = httpx2.post(f"{nginx.auth_url}/login", json=login, headers=headers)
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        sessions = httpx2.get(f"{nginx.auth_url}/sessions", headers=bearer).json()
        assert next(one["ip"] for one in sessions if one["current"]) == seen

        assert httpx2.get(nginx.metrics_url).status_code == 401
        token = {"Authorization": "Bearer of the tests"}
        assert "counterfoil_build_info" in httpx2.get(nginx.metrics_url, headers=token).text
        assert httpx2.get(f"{nginx.auth_url}/metrics", headers=token).status_code == 404
        assert httpx2.get(nginx.metrics_url.replace("metrics", "sessions")).status_code == 404
