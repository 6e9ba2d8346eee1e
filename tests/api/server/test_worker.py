"""The process that serves is tuned; one that embeds the application is left as it is."""

import gc
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from harness.server import REPOSITORY

SHOW = (
    "print(gc.get_threshold(), gc.get_freeze_count() > 0, sys.getswitchinterval(), gc.isenabled())"
)


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


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        (
            "gc.disable(); from api.server.worker import load_app; load_app()",
            "(50000, 50, 1000) True 0.0005 True\n",
        ),
        ("from api import app", "(700, 10, 10) True 0.005 True\n"),
        ("import api; api.attach", "(700, 10, 10) False 0.005 True\n"),
    ],
)
def test_a_process_of_ours_is_tuned(tmp_path: Path, load: str, expected: str) -> None:
    """A worker of `serve`, and less so an application that extends `api.app`."""
    shown = subprocess.run(
        [sys.executable, "-c", f"import gc, sys; {load}; {SHOW}"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == expected
