"""Log lines are written by a thread, which nothing else waits for."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TextIO

import pytest

from api.observability import output
from api.observability.output import Output
from harness.server import Server
from tests.support.client import connected
from tests.support.waiting import until

LINE = "x" * 999 + "\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    """A pipe: the descriptor to read from, and the stream to write to."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        yield reader, stream
    os.close(reader)


def read_all(descriptor: int) -> str:
    """What is in a pipe until nothing has come for a while."""
    os.set_blocking(descriptor, False)
    text, last = b"", time.monotonic()
    while time.monotonic() - last < 0.5:
        try:
            text += os.read(descriptor, 1_000_000)
            last = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    return text.decode()


def test_lines_of_several_threads_are_written_whole_and_in_order(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with file.open("w") as stream:
        out = Output(stream)

        def write(name: str) -> None:
            for number in range(2000):
                out.write(f"{name} {number}\n")

        with out.gathering():
            threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    lines = file.read_text().splitlines()
    assert len(lines) == 6000
    for name in "abc":
        of_one = [line for line in lines if line.startswith(name)]
        assert of_one == [f"{name} {number}" for number in range(2000)]


def test_many_lines_are_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, write = [], os.write

    def count(descriptor: int, data: bytes) -> int:
        sizes.append(len(data))
        return write(descriptor, data)

    monkeypatch.setattr("api.observability.output.os.write", count)
    with (tmp_path / "log").open("w") as stream:
        out = Output(stream)
        with out.gathering():
            for _ in range(500):
                out.write(LINE)
    assert sum(sizes) == 500 * len(LINE)
    assert len(sizes) < 50


def test_nobody_waits_for_a_pipe_that_is_not_read_and_what_is_lost_is_counted(
    pipe: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reader, stream = pipe
    monkeypatch.setattr(output, "_MOST_WAITING_CHARACTERS", 200 * len(LINE))
    out = Output(stream)
    with out.gathering():
        # The pipe takes 64 kB; far more is written, and this test would hang if it waited.
        for _ in range(1000):
            out.write(LINE)
        assert out.dropped >= 1000 - 200 - 200
        text = read_all(reader)
        assert len(text) == (1000 - out.dropped) * len(LINE)
        until(lambda: f"{out.dropped} log lines were dropped" in caplog.text)
        out.write("after\n")
        assert read_all(reader) == "after\n"


def test_a_stop_writes_everything_that_was_gathered(pipe: tuple[int, TextIO]) -> None:
    reader, stream = pipe
    out = Output(stream)
    with out.gathering():
        out.write("one\n")
        out.write("two\n")
    assert read_all(reader) == "one\ntwo\n"
    out.write("three\n")
    assert read_all(reader) == "three\n"


def test_a_stop_does_not_wait_for_ever_for_a_reader(
    pipe: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "_STOP_SECONDS", 0.2)
    out = Output(pipe[1])
    with out.gathering():
        out.write(LINE * 1000)
    # This test hangs if it does, or if what comes after the stop is written at once.
    out.write("late\n")
    until(lambda: len(read_all(pipe[0])) > 0)


def test_a_pipe_that_does_not_block_gets_everything_too(pipe: tuple[int, TextIO]) -> None:
    reader, stream = pipe
    os.set_blocking(stream.fileno(), False)
    out = Output(stream)
    with out.gathering():
        for _ in range(300):
            out.write(LINE)
        assert len(read_all(reader)) == 300 * len(LINE)


def test_a_reader_that_has_gone_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with closing(os.fdopen(writer, "w")) as stream:
        out = Output(stream)
        with out.gathering():
            out.write("one\n")
            time.sleep(0.1)
            out.write("two\n")
    assert out.dropped == 0
    assert not caplog.records


@pytest.mark.parametrize("workers", [1, 2])
def test_a_service_that_is_stopped_has_logged_every_request(workers: int) -> None:
    with Server.launch(workers=workers) as server, connected(server.url) as client:
        for number in range(300):
            client.http.get(f"/nowhere/{number}")
        server.stop()
        log = server.log()
    for number in range(300):
        assert log.count(f'"path": "/nowhere/{number}"') == 1


def test_a_service_that_is_killed_has_logged_what_is_older_than_a_moment() -> None:
    with Server.launch() as server, connected(server.url) as client:
        client.http.get("/nowhere/before")
        until(lambda: "/nowhere/before" in server.log())
        client.http.get("/nowhere/1")
        time.sleep(1)
        server.send(signal.SIGKILL)
        server.wait()
        assert '"path": "/nowhere/1"' in server.log()


def test_lines_of_requests_and_of_errors_are_in_the_order_of_events() -> None:
    with Server.launch() as server, connected(server.url) as client:
        client.http.get("/nowhere/first")
        server.stop()
        log = server.log()
    assert log.index("/nowhere/first") < log.index("Shutting down")
