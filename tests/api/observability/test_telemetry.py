"""OpenTelemetry's spans, as an application gets them that sets up a provider of its own."""

from collections.abc import Callable

import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from api.application import Counterfoil
from tests.support.client import Client

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def client(
    make_app: Callable[..., FastAPI],
    make_client: Callable[..., Client],
    spans: InMemorySpanExporter,
) -> Client:
    app = make_app()
    assert isinstance(app, Counterfoil)
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    app._telemetry["tracer_provider"] = provider
    return make_client(app)


def test_a_span_has_the_route_and_nothing_of_the_query_string(
    client: Client, spans: InMemorySpanExporter
) -> None:
    # The query string is still what the application goes by.
    assert client.http.get("/sessions?limit=much&token=secret").status_code == 401
    assert client.http.delete("/sessions/1234?token=secret").status_code == 422
    assert client.http.put("/admin/users?email=ada", json={}).status_code == 405
    exported = "".join(span.to_json() for span in spans.get_finished_spans())
    assert "secret" not in exported
    assert "url.query" not in exported
    names = {span.name for span in spans.get_finished_spans() if span.attributes}
    assert names >= {"GET /sessions", "DELETE /sessions/{session_id}", "PUT /admin/users"}


def test_a_span_belongs_to_the_trace_of_the_caller(
    client: Client, spans: InMemorySpanExporter
) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    client.http.get("/health/live", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"})
    assert {f"{span.context.trace_id:032x}" for span in spans.get_finished_spans()} == {trace_id}
