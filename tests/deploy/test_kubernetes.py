"""The manifests for Kubernetes fit its schemas, the image, the settings and each other."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import latest_version, validate

from api.routers import health
from api.settings import ApiSettings
from harness.server import REPOSITORY
from scripts.docs.settings_reference import layers, read

FOLDER = REPOSITORY / "deploy" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
MANIFESTS = sorted(set(FOLDER.glob("*.yaml")) - {FOLDER / "kustomization.yaml"})
SETTINGS = {setting.name for layer in layers().values() for setting in read(layer)}


def manifest(name: str) -> Any:
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


def pod(name: str) -> Any:
    return manifest(name)["spec"]["template"]["spec"]


def test_each_manifest_is_applied() -> None:
    assert sorted(KUSTOMIZATION["resources"]) == [path.name for path in MANIFESTS]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_kubernetes_accepts_a_manifest_and_every_word_of_it(path: Path) -> None:
    resource = yaml.safe_load(path.read_text())
    validate(resource, latest_version(), strict=True)
    resource["nonsense"] = 1
    with pytest.raises(Exception, match="nonsense"):
        validate(resource, latest_version(), strict=True)


def test_only_settings_that_there_are_get_values() -> None:
    literals = dict(one.split("=", 1) for one in KUSTOMIZATION["configMapGenerator"][0]["literals"])
    given = {one["name"] for name in ("migrate", "deployment") for one in environment(name)}
    assert {*literals, *(name.removesuffix("_FILE") for name in given)} <= SETTINGS
    # A pod is killed after this time.
    needed = int(literals["COUNTERFOIL_DRAIN_SECONDS"]) + int(
        literals["COUNTERFOIL_SHUTDOWN_SECONDS"]
    )
    assert pod("deployment")["terminationGracePeriodSeconds"] > needed


def environment(name: str) -> list[dict[str, Any]]:
    (container,) = pod(name)["containers"]
    found: list[dict[str, Any]] = container["env"]
    return found


@pytest.mark.parametrize("name", ["migrate", "deployment"])
def test_files_of_settings_are_in_mounted_secrets(name: str) -> None:
    (container,) = pod(name)["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    secrets = [mounts[volume["name"]] for volume in pod(name)["volumes"] if "secret" in volume]
    files = [one["value"] for one in environment(name) if one["name"].endswith("_FILE")]
    assert files
    assert {str(Path(file).parent) for file in files} == set(secrets)


@pytest.mark.parametrize("name", ["migrate", "deployment"])
def test_a_container_has_no_more_rights_than_the_image_needs(name: str) -> None:
    (container,) = pod(name)["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod(name)["securityContext"]["runAsNonRoot"] is True
    assert "USER 10001:10001" in (REPOSITORY / "Dockerfile").read_text()
    assert pod(name)["securityContext"]["runAsUser"] == 10001
    assert pod(name)["automountServiceAccountToken"] is False


def test_probes_ask_for_the_routes_of_health_at_the_port_of_the_service() -> None:
    (container,) = pod("deployment")["containers"]
    routes = {route.path for route in health.router.routes}  # type: ignore[attr-defined]
    asked = {container[f"{name}Probe"]["httpGet"]["path"] for name in ("liveness", "readiness")}
    assert asked == routes
    assert container["ports"] == [{"name": "http", "containerPort": ApiSettings().port}]
    assert manifest("service")["spec"]["ports"][0]["targetPort"] == "http"
    assert "COUNTERFOIL_HOST=0.0.0.0" in (REPOSITORY / "Dockerfile").read_text()


def test_what_belongs_together_is_selected_by_one_label() -> None:
    label = {"app.kubernetes.io/component": "service"}
    assert manifest("deployment")["spec"]["template"]["metadata"]["labels"] == label
    assert manifest("deployment")["spec"]["selector"]["matchLabels"] == label
    assert manifest("disruption-budget")["spec"]["selector"]["matchLabels"] == label
    assert manifest("service")["spec"]["selector"] == label
    assert "service" not in json.dumps(manifest("migrate")["spec"]["template"].get("metadata", {}))
