"""The limits of the shipped proxies on slow and on many clients: each is said, and none is longer.

tests/deploy/test_attacks_on_proxies.py tries those for headers and bodies, which take the longest.
"""

import re
from typing import Any

import pytest
import yaml

from harness.server import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
NGINX = (DEPLOY / "nginx.conf").read_text()
CADDY = (DEPLOY / "Caddyfile").read_text()
ENVOY: dict[str, Any] = yaml.safe_load((DEPLOY / "envoy.yaml").read_text())


def seconds(text: str) -> float:
    """Of a length of time such as 10s."""
    found = re.fullmatch(r"([0-9.]+)s", text)
    assert found is not None, text
    return float(found[1])


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("client_header_timeout", 10),
        ("client_body_timeout", 10),
        ("send_timeout", 10),
        ("keepalive_timeout", 30),
        ("proxy_connect_timeout", 3),
    ],
)
def test_nginx_waits_no_longer_than_that(name: str, most: int) -> None:
    [value] = re.findall(rf"^{name} (\w+);$", NGINX, re.MULTILINE)
    assert 0 < seconds(value) <= most


def test_nginx_takes_so_many_connections_from_one_address() -> None:
    [zone] = re.findall(r"^limit_conn_zone \$binary_remote_addr zone=(\w+):", NGINX, re.MULTILINE)
    [most] = re.findall(rf"^limit_conn {zone} (\d+);$", NGINX, re.MULTILINE)
    assert 0 < int(most) <= 100


@pytest.mark.parametrize(
    ("name", "most"), [("read_header", 10), ("read_body", 10), ("write", 30), ("idle", 30)]
)
def test_caddy_waits_no_longer_than_that(name: str, most: int) -> None:
    [limits] = re.findall(r"timeouts \{\n(.*?)\}", CADDY, re.DOTALL)
    [value] = re.findall(rf"^\s*{name} (\w+)$", limits, re.MULTILINE)
    assert 0 < seconds(value) <= most


def connection_manager() -> dict[str, Any]:
    [listener] = ENVOY["static_resources"]["listeners"]
    [chain] = listener["filter_chains"]
    found: dict[str, Any] = chain["filters"][0]["typed_config"]
    return found


@pytest.mark.parametrize(
    ("name", "most"),
    [("request_headers_timeout", 10), ("request_timeout", 30), ("stream_idle_timeout", 30)],
)
def test_envoy_waits_no_longer_than_that(name: str, most: int) -> None:
    assert 0 < seconds(connection_manager()[name]) <= most


def test_envoy_closes_idle_connections_and_bounds_what_it_holds() -> None:
    common = connection_manager()["common_http_protocol_options"]
    assert 0 < seconds(common["idle_timeout"]) <= 30
    assert 0 < connection_manager()["max_request_headers_kb"] <= 16
    [listener] = ENVOY["static_resources"]["listeners"]
    assert 0 < listener["per_connection_buffer_limit_bytes"] <= 65536


def test_each_proxy_removes_each_header_that_carries_a_credential() -> None:
    """Tried as well, where the proxy is installed."""
    names = {"authorization", "x-api-key", "token"}
    emptied = re.findall(r'^\s*proxy_set_header (\S+) "";$', NGINX, re.MULTILINE)
    assert names <= {name.lower() for name in emptied}
    assert names <= {name.lower() for name in re.findall(r"header_up -(\S+)", CADDY)}
    assert names <= set(connection_manager()["route_config"]["request_headers_to_remove"])
