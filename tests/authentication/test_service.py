"""A service that has been closed leaves nothing behind in the process."""

import gc
import weakref
from collections.abc import Callable

from fastapi import FastAPI
from fastapi.testclient import TestClient


def test_a_closed_service_is_freed(make_app: Callable[..., FastAPI]) -> None:
    app = make_app()
    with TestClient(app) as client:
        assert client.get("/health/ready").status_code == 200
        service = weakref.ref(app.state.service)
        assert service() is not None
    del app, client
    gc.collect()
    assert service() is None
