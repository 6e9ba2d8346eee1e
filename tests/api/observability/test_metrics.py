"""The numbers at /metrics, and who may read them."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psutil
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from api.observability.metrics import DIRECTORY
from api.observability.output import stdout
from harness.proxies import PlainNginx
from harness.server import Server
from tests.support.administrator import Sql
from tests.support.client import Client, connected
from tests.support.waiting import until

pytestmark = pytest.mark.one_database

MakeClient = Callable[..., Client]

# The TestClient gives no address of its own that anyone could trust.
OPEN = {"metrics": "on"}

OF_PROXIES = [
    *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Anything"),
    *("Forwarded", "Via", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP"),
    *("X-Envoy-External-Address", "X-Request-ID", "X-Amzn-Trace-Id", "X-Original-URI"),
]


def read(text: str) -> dict[str, float]:
    """Every sample by its name and labels, as they are written."""
    samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            samples[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return samples


def metrics_of(client: Client) -> dict[str, float]:
    response = client.http.get("/metrics")
    assert response.status_code == 200
    return read(response.text)


def test_lost_log_lines_are_counted(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(**OPEN)
    before = metrics_of(client)["counterfoil_log_lines_dropped_total"]
    monkeypatch.setattr(stdout, "dropped", stdout.dropped + 3)
    assert metrics_of(client)["counterfoil_log_lines_dropped_total"] == before + 3


def test_requests_are_counted_by_the_route_and_not_by_the_path(make_client: MakeClient) -> None:
    client = make_client(**OPEN)
    tokens = client.sign_up()
    client.me(tokens)
    client.me("cfa_nonsense")
    session_id = client.sessions(tokens)[0]["id"]
    client.http.delete(f"/sessions/{session_id}", headers=tokens.headers)
    numbers = metrics_of(client)
    requests = "counterfoil_requests_total"
    assert numbers[f'{requests}{{method="GET",route="/users/me",status="200"}}'] == 1
    assert numbers[f'{requests}{{method="GET",route="/users/me",status="401"}}'] == 1
    assert numbers[f'{requests}{{method="DELETE",route="/sessions/{{session_id}}",status="204"}}']
    assert numbers['counterfoil_request_seconds_count{method="GET",route="/users/me"}'] == 2


def test_fast_routes_and_mounts_have_their_paths_too(make_client: MakeClient) -> None:
    client = make_client(**OPEN)
    client.http.post("/introspect")
    client.http.get("/verify/a/b")
    client.http.get("/docs/static/no-such-file")
    numbers = metrics_of(client)
    requests = "counterfoil_requests_total"
    assert numbers[f'{requests}{{method="POST",route="/introspect",status="401"}}'] == 1
    assert numbers[f'{requests}{{method="GET",route="/verify/{{path}}",status="401"}}'] == 1
    assert numbers[f'{requests}{{method="GET",route="/docs/static",status="404"}}'] == 1


def test_clients_cannot_make_up_time_series(make_client: MakeClient) -> None:
    client = make_client(**OPEN)
    for number in range(5):
        client.http.get(f"/made-up/{number}")
        client.http.request(f"METHOD{number}", "/health/live")
    text = client.http.get("/metrics").text
    assert "made-up" not in text
    assert "METHOD" not in text
    numbers = read(text)
    unmatched = 'counterfoil_requests_total{method="GET",route="unmatched",status="404"}'
    assert numbers[unmatched] == 5
    other = 'counterfoil_requests_total{method="other",route="/health/live",status="405"}'
    assert numbers[other] == 5


def test_logins_refreshes_and_revocations_are_counted_by_their_outcome(
    make_client: MakeClient,
) -> None:
    client = make_client(**OPEN, refresh_grace_seconds=0)
    tokens = client.sign_up()
    client.try_to_log_in(password="not the password")
    client.try_to_log_in("nobody@example.org")
    client.refresh(tokens.refresh_token)
    client.refresh(tokens.refresh_token)
    client.http.delete("/sessions", headers=client.log_in().headers)
    numbers = metrics_of(client)
    assert numbers['counterfoil_logins_total{outcome="succeeded"}'] == 2
    assert numbers['counterfoil_logins_total{outcome="wrong password"}'] == 1
    assert numbers['counterfoil_logins_total{outcome="unknown user"}'] == 1
    assert numbers['counterfoil_refreshes_total{outcome="succeeded"}'] == 1
    assert numbers['counterfoil_refreshes_total{outcome="reused"}'] == 1
    assert numbers['counterfoil_sessions_revoked_total{reason="refresh_token_reuse"}'] == 1
    assert numbers['counterfoil_sessions_revoked_total{reason="ended_by_user"}'] == 1
    assert numbers['counterfoil_audit_events_total{event="user.created"}'] == 1


def test_what_is_rolled_back_is_not_counted(make_client: MakeClient, sql: Sql) -> None:
    client = make_client(**OPEN)
    tokens = client.sign_up()
    for email in ("first@example.org", "first@example.org"):
        client.register(email)
    assert client.me(tokens).status_code == 200
    created = metrics_of(client)['counterfoil_audit_events_total{event="user.created"}']
    assert created == sql("SELECT count(*) FROM audit_events WHERE event = 'user.created'")[0][0]


def test_lookups_hashing_and_the_pool_are_measured(make_client: MakeClient) -> None:
    client = make_client(**OPEN)
    tokens = client.sign_up()
    for _ in range(3):
        client.me(tokens)
    numbers = metrics_of(client)
    assert numbers["counterfoil_lookup_tokens_sum"] == 3
    assert numbers["counterfoil_lookup_seconds_count"] == 3
    # One hash for the registration, and one for the login.
    assert numbers["counterfoil_hashing_seconds_count"] == 2
    assert numbers["counterfoil_hashing_wait_seconds_count"] == 2
    assert numbers["counterfoil_hashing_waiting"] == 0
    assert numbers["counterfoil_pool_connections"] == 10
    assert numbers["counterfoil_pool_connections_in_use"] == 0
    assert numbers["counterfoil_workers"] == 1


def test_the_lag_of_writing_behind_is_measured(make_client: MakeClient, sql: Sql) -> None:
    application = make_client(**OPEN)
    tokens = application.sign_up()
    sql("UPDATE sessions SET last_used_at = '2020-01-01 00:00:00.000000'")
    application.me(tokens)
    until(lambda: 'counterfoil_uses_noted_total{outcome="written"}' in metrics_of(application))
    numbers = metrics_of(application)
    assert numbers['counterfoil_uses_noted_total{outcome="written"}'] == 1
    assert numbers["counterfoil_uses_lag_seconds_count"] == 1


@pytest.mark.parametrize("exposure", ["local", "off"])
def test_by_default_strangers_may_not_read_the_metrics(
    make_client: MakeClient, exposure: str
) -> None:
    status = make_client(metrics=exposure).http.get("/metrics").status_code
    assert status == {"local": 403, "off": 404}[exposure]


def test_a_token_opens_the_metrics_from_anywhere(make_client: MakeClient) -> None:
    client = make_client(metrics_token="a fixed one")
    assert client.http.get("/metrics").status_code == 401
    assert client.http.get("/metrics", headers={"Authorization": "Bearer x"}).status_code == 401
    headers = {"Authorization": "Bearer a fixed one"}
    assert client.http.get("/metrics", headers=headers).status_code == 200


def directory_of(server: Server) -> Path:
    """Where the workers gather their numbers."""
    return Path(psutil.Process(server.worker_pids()[0]).environ()[DIRECTORY])


@pytest.fixture
def two_workers(database_url: str) -> Iterator[tuple[Server, Client]]:
    environment = {"COUNTERFOIL_BCRYPT_ROUNDS": "4"}
    with (
        Server.launch(database_url, workers=2, environment=environment) as server,
        connected(server.url) as client,
    ):
        until(lambda: metrics_of(client).get("counterfoil_workers") == 2)
        yield server, client


def test_the_numbers_of_several_workers_are_added_up(two_workers: tuple[Server, Client]) -> None:
    server, client = two_workers
    tokens = client.sign_up()
    # A connection stays with its worker, so each of these asks for a new one.
    headers = {**tokens.headers, "Connection": "close"}
    for _ in range(40):
        assert client.http.get("/users/me", headers=headers).status_code == 200
    numbers = metrics_of(client)
    assert numbers['counterfoil_requests_total{method="GET",route="/users/me",status="200"}'] == 40
    assert numbers["counterfoil_pool_connections"] == 20
    directory = directory_of(server)
    assert directory.is_dir()
    server.stop()
    assert not directory.exists()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_worker_that_was_killed_is_not_counted_any_more(
    two_workers: tuple[Server, Client],
) -> None:
    server, _ = two_workers
    victim = server.worker_pids()[0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: not psutil.pid_exists(victim))
    with connected(server.url) as newcomer:
        until(lambda: metrics_of(newcomer)["counterfoil_workers"] == 2)
    assert not list(directory_of(server).glob(f"gauge_live*_{victim}.db"))


def test_through_a_proxy_that_nobody_vouched_for_the_metrics_stay_closed() -> None:
    with Server.launch() as server, connected(server.url) as client:
        assert client.http.get("/metrics").status_code == 200
        for header in OF_PROXIES:
            refused = client.http.get("/metrics", headers={header: "127.0.0.1"})
            assert refused.status_code == 403, header


def test_a_trusted_proxy_makes_nobody_local() -> None:
    environment = {"COUNTERFOIL_TRUSTED_PROXIES": "127.0.0.1"}
    with Server.launch(environment=environment) as server, connected(server.url) as client:
        assert client.http.get("/metrics").status_code == 200
        for header in ("X-Forwarded-For", "Forwarded"):
            refused = client.http.get("/metrics", headers={header: "127.0.0.1"})
            assert refused.status_code == 403, header


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("127.0.0.1:9999", 200),
        ("[::1]:80", 200),
        ("auth.example.org", 403),
        ("localhost.example.org", 403),
        ("counterfoil", 403),
        ("192.0.2.1", 403),
        ("", 403),
    ],
)
def test_only_a_request_for_this_machine_itself_is_local(
    own_server: Server, host: str, status: int
) -> None:
    with connected(own_server.url) as client:
        assert client.http.get("/metrics", headers={"Host": host}).status_code == status


def test_a_malformed_host_makes_nobody_local(make_client: MakeClient) -> None:
    # `serve` rejects it earlier; other servers do not.
    local = TestClient(make_client().http.app, client=("127.0.0.1", 50_000))
    assert local.get("/metrics", headers={"Host": "["}).status_code == 403


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    with Server.launch() as server:
        yield server


# By itself nginx adds no header, and sends the address of the server behind it as the host.
@pytest.mark.parametrize(
    "options",
    ["", "proxy_set_header Host $host;", "proxy_http_version 1.1;"],
    ids=["default", "host", "1.1"],
)
def test_behind_an_nginx_that_adds_no_header_the_metrics_stay_closed(
    own_server: Server, tmp_path: Path, options: str
) -> None:
    with PlainNginx(tmp_path, service_port=own_server.port, options=options) as proxy:
        url = f"{proxy.app_url}/metrics"
        assert httpx2.get(url).status_code == 403
        assert httpx2.get(url, headers={"Host": "auth.example.org"}).status_code == 403
        assert httpx2.get(f"{proxy.app_url}/health/live").status_code == 200


def test_names_follow_the_conventions(make_client: MakeClient) -> None:
    client = make_client(**OPEN)
    client.sign_up()
    for family in text_string_to_metric_families(client.http.get("/metrics").text):
        assert re.fullmatch(r"counterfoil_[a-z_]+", family.name), family.name
        assert family.documentation
