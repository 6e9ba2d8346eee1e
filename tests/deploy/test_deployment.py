"""What is shipped for deployment fits the code: names, paths, settings, metrics.

No container is built here. What can be tried without an engine is tried: the same commands, in an
environment like that of the image, and nothing is claimed beyond that.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.engine import make_url

from api.settings import ApiSettings
from database.settings import WRONG_SETTINGS_STATUS
from harness.processes import free_port
from harness.programs import require_program
from harness.server import REPOSITORY, Server
from scripts.docs.settings_reference import layers, read
from tests.support.client import connected

DOCKERFILE = (REPOSITORY / "Dockerfile").read_text().replace("\\\n", " ")
COMPOSE = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
UNIT = (REPOSITORY / "deploy" / "counterfoil.service").read_text()
DASHBOARD = json.loads((REPOSITORY / "deploy" / "grafana-dashboard.json").read_text())

SETTINGS = {setting.name for layer in layers().values() for setting in read(layer)}


def instructions(name: str) -> list[str]:
    """The arguments of an instruction of the final stage."""
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    return re.findall(rf"^\s*{name} +(.*)$", final, re.MULTILINE)


def copied() -> list[str]:
    """What the image takes from the repository."""
    lines = [line.split() for line in instructions("COPY") if not line.startswith("--from")]
    return [source for *sources, _ in lines for source in sources]


def test_the_image_runs_with_what_it_copies_and_nothing_else(tmp_path: Path) -> None:
    for source in copied():
        copy = shutil.copytree if (REPOSITORY / source).is_dir() else shutil.copy
        copy(REPOSITORY / source, tmp_path / source)
    entry = json.loads(instructions("ENTRYPOINT")[0]) + json.loads(instructions("CMD")[-1])
    assert entry == ["python", "api.py", "serve"]
    port = free_port()
    environment = {"COUNTERFOIL_PORT": str(port), "PYTHONPATH": ""}
    command = ["env", "-C", str(tmp_path), sys.executable, *entry[1:]]
    with Server.launch(command=command, environment=environment, port=port):
        assert health_check(port) == 0
    assert health_check(port) != 0


def health_check(port: int) -> int:
    """The exit status of the image's own check."""
    line = re.search(r"HEALTHCHECK .*?CMD (\[.*\])", DOCKERFILE)
    assert line is not None
    _, *arguments = json.loads(line[1])
    environment = {**os.environ, "COUNTERFOIL_PORT": str(port)}
    check = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, check=False
    )
    return check.returncode


def test_the_image_does_not_run_as_root_and_installs_by_hash() -> None:
    assert instructions("USER") == ["10001:10001"]
    assert "--require-hashes" in DOCKERFILE
    assert "--only-binary :all:" in DOCKERFILE
    names = [
        assignment.split("=")[0] for line in instructions("ENV") for assignment in line.split()
    ]
    ours = {name for name in names if name.startswith("COUNTERFOIL_") or name == "DATABASE_URL"}
    assert ours <= SETTINGS


def test_neither_secrets_nor_databases_can_slip_into_the_image() -> None:
    patterns = (REPOSITORY / ".dockerignore").read_text().splitlines()
    allowed = [pattern.removeprefix("!") for pattern in patterns if pattern.startswith("!")]
    assert "*" in patterns
    assert sorted(allowed) == sorted([*copied(), "requirements-run.lock"])
    for secret in (".env", "counterfoil.db", ".git"):
        assert not any(fnmatch(secret, pattern) for pattern in allowed)


def test_compose_sets_only_what_there_is() -> None:
    services: dict[str, Any] = COMPOSE["services"]
    assert set(services) == {"database", "migrate", "counterfoil", "nginx"}
    for name in ("migrate", "counterfoil"):
        given = {key for key, value in services[name]["environment"].items() if value}
        assert {key.removesuffix("_FILE") for key in given} <= SETTINGS
    for name in ("nginx", "database"):
        mounted = [volume.partition(":")[0] for volume in services[name]["volumes"]]
        assert all((REPOSITORY / path).is_file() for path in mounted if path.startswith("."))


def test_compose_serves_as_a_role_that_owns_nothing(tmp_path: Path) -> None:
    """The script for the roles is tried in tests/database/test_roles.py."""
    services: dict[str, Any] = COMPOSE["services"]
    create = REPOSITORY / "deploy" / "compose" / "create-secrets"
    for _ in range(2):
        subprocess.run([create, tmp_path / "secrets"], check=True)
        files = {path.name: path.read_text().strip() for path in (tmp_path / "secrets").iterdir()}
        owner, served = make_url(files["owner_url"]), make_url(files["service_url"])
        assert (owner.username, owner.password) == ("counterfoil_owner", files["owner_password"])
        assert (served.username, served.password) == ("counterfoil", files["service_password"])
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert COMPOSE["secrets"] == {name: {"file": f"secrets/{name}"} for name in files}
    assert services["migrate"]["command"] == ["migrate", "--grant-to", served.username]
    assert services["counterfoil"]["secrets"] == ["service_url", "metrics_token"]
    assert services["migrate"]["secrets"] == ["owner_url"]


@pytest.mark.parametrize("service", COMPOSE["services"].values(), ids=COMPOSE["services"])
def test_a_container_reads_no_secret_that_it_is_not_given(service: dict[str, Any]) -> None:
    environment = {key: str(value) for key, value in service["environment"].items()}
    given = {f"/run/secrets/{name}" for name in service.get("secrets", [])}
    if any("roles.sh" in volume for volume in service.get("volumes", [])):
        script = (REPOSITORY / "deploy" / "compose" / "roles.sh").read_text()
        environment["roles.sh"] = script
    read = set(re.findall(r"/run/secrets/\w+", " ".join(environment.values())))
    assert read == given
    assert not any("PASSWORD" in key and not key.endswith("_FILE") for key in environment)


def test_compose_runs_the_version_of_postgresql_that_is_tested() -> None:
    image = COMPOSE["services"]["database"]["image"]
    page = (REPOSITORY / "docs" / "how-to" / "deployment.md").read_text()
    assert f"PostgreSQL {image.removeprefix('postgres:')}," in page


def test_only_nginx_can_be_reached_from_outside() -> None:
    published = [
        port for service in COMPOSE["services"].values() for port in service.get("ports", [])
    ]
    assert published == ["${HTTP_ADDRESS:-127.0.0.1}:${HTTP_PORT:-8080}:80"]
    assert COMPOSE["services"]["nginx"]["network_mode"] == "service:counterfoil"


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    analyze = require_program("systemd-analyze")
    units = [tmp_path / "counterfoil.service", tmp_path / "counterfoil.socket"]
    for unit in units:
        text = (REPOSITORY / "deploy" / unit.name).read_text()
        # It looks whether the program is there, which it is only where it has been installed.
        unit.write_text(text.replace("/opt/counterfoil/.venv/bin/python", sys.executable))
    found = subprocess.run([analyze, "verify", *units], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")


def test_the_time_to_stop_is_longer_than_the_drain_and_what_follows() -> None:
    """Past it, systemd and container engines kill what is left."""
    settings = ApiSettings()
    needed = settings.drain_seconds + settings.shutdown_seconds
    given = re.search(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)
    assert given is not None
    assert int(given[1]) > needed
    assert int(COMPOSE["services"]["counterfoil"]["stop_grace_period"].rstrip("s")) > needed


def test_systemd_does_not_repeat_a_start_with_wrong_settings_and_reloads_by_sighup() -> None:
    lines = UNIT.splitlines()
    assert f"RestartPreventExitStatus={WRONG_SETTINGS_STATUS}" in lines
    assert "ExecReload=/bin/kill -HUP $MAINPID" in lines


def test_the_socket_unit_keeps_the_address_that_the_proxies_ask() -> None:
    address = f"127.0.0.1:{ApiSettings().port}"
    for name in ("counterfoil.socket", "nginx.conf", "Caddyfile"):
        assert address in (REPOSITORY / "deploy" / name).read_text()


def test_the_unit_runs_commands_that_there_are(tmp_path: Path) -> None:
    commands = re.findall(r"^ExecStart\w*=(.*)$", UNIT, re.MULTILINE)
    assert [shlex.split(command)[2:] for command in commands] == [["migrate"], ["serve"]]
    help_text = subprocess.run(
        [sys.executable, REPOSITORY / "api.py", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    ).stdout
    assert {"migrate", "serve"} <= set(help_text.split())


# What a service needs that listens on sockets, and writes to its own folder alone. systemd takes
# everything else away from it.
HARDENING = {
    "CapabilityBoundingSet": "",
    "NoNewPrivileges": "yes",
    "RestrictSUIDSGID": "yes",
    "DynamicUser": "yes",
    "PrivateUsers": "yes",
    "RemoveIPC": "yes",
    "UMask": "0077",
    "StateDirectoryMode": "0700",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "ProtectProc": "invisible",
    "ProtectClock": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "LockPersonality": "yes",
    "SystemCallArchitectures": "native",
    "SystemCallFilter": "@system-service",
    "SystemCallErrorNumber": "EPERM",
}


def test_the_unit_takes_away_what_the_service_does_not_need() -> None:
    assigned = dict(re.findall(r"^(\w+)=(.*)$", UNIT.partition("[Service]")[2], re.MULTILINE))
    assert {name: assigned.get(name) for name in HARDENING} == HARDENING


def test_whatever_is_installed_by_a_script_is_checked_against_its_hash() -> None:
    scripts = [path for path in (REPOSITORY / "scripts").rglob("*") if path.is_file()]
    texts = [path.read_text() for path in scripts if path.suffix in {"", ".sh"}]
    texts.append((REPOSITORY / "Dockerfile").read_text())
    lines = [line for text in texts for line in text.replace("\\\n", " ").splitlines()]
    installed = [line for line in lines if re.search(r"pip\S* .*install.* --requirement", line)]
    # What the benchmarks compare with has no lock file, and an environment of its own.
    installed = [line for line in installed if "benchmarks/peers/" not in line]
    assert len(installed) == 2
    for line in installed:
        assert "--require-hashes" in line, line


@pytest.fixture(scope="module")
def metrics() -> set[str]:
    """The names that a service has, as Prometheus would store them."""
    with Server.launch() as server, connected(server.url) as client:
        families = text_string_to_metric_families(client.http.get("/metrics").text)
        endings = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",)}
        return {
            family.name + ending
            for family in families
            for ending in endings.get(family.type, ("",))
        }


def queries() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


@pytest.mark.parametrize("query", queries())
def test_the_dashboard_asks_for_metrics_that_there_are(query: str, metrics: set[str]) -> None:
    asked = set(re.findall(r"counterfoil_\w+", query))
    assert asked
    assert asked <= metrics


ALERTS = REPOSITORY / "deploy" / "prometheus-alerts.yaml"
RULES = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_the_alerts_ask_for_metrics_that_there_are(rule: Any, metrics: set[str]) -> None:
    asked = set(re.findall(r"counterfoil_\w+", rule["expr"]))
    assert asked <= metrics
    assert asked or rule["expr"].startswith("up{")


def test_prometheus_understands_the_alerts_and_raises_them() -> None:
    promtool = require_program("promtool")
    cases = REPOSITORY / "tests" / "deploy" / "prometheus-alerts.test.yaml"
    for verb, file in (("check", ALERTS), ("test", cases)):
        command = [promtool, verb, "rules", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_is_on_the_dashboard(metrics: set[str]) -> None:
    part = re.compile(r"_(bucket|sum|count)$")
    asked = {part.sub("", name) for name in re.findall(r"counterfoil_\w+", " ".join(queries()))}
    assert asked == {part.sub("", name) for name in metrics}
