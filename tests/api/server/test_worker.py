"""The process that serves is tuned; one that embeds the application is left as it is."""

import gc
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient

from harness.server import REPOSITORY

SHOW = "print(gc.get_threshold(), gc.get_freeze_count() > 0, sys.getswitchinterval())"


def process_settings() -> tuple[object, ...]:
    return gc.get_threshold(), gc.get_freeze_count(), gc.isenabled(), sys.getswitchinterval()


def test_an_embedded_application_changes_nothing_of_its_process(
    make_app: Callable[..., FastAPI],
) -> None:
    # The suite freezes what its tests leave: see tests/conftest.py.
    gc.unfreeze()
    before = process_settings()
    with TestClient(make_app()) as client:
        assert client.get("/health/ready").status_code == 200
        assert process_settings() == before
    assert process_settings() == before


def test_a_worker_is_tuned(tmp_path: Path) -> None:
    code = f"import gc, sys; from api.server.worker import load_app; load_app(); {SHOW}"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "(50000, 50, 1000) True 0.0005\n"
