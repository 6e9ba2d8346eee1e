"""Runs wrk against a target and reads its results and the processor time used."""

import json
import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.messages import HOST
from benchmarks.processes import cpu_seconds
from benchmarks.targets import Target

SCRIPT = Path(__file__).with_name("rotate.lua")
# Longer than the product's deadline, so that slow answers are not counted as lost.
TIMEOUT_SECONDS = 20


@dataclass(frozen=True)
class Run:
    """Latencies are in milliseconds, processor time in seconds per 1,000 requests."""

    target: str
    requests_per_second: float
    p50: float
    p99: float
    server_cpu: float
    postgres_cpu: float
    fault: str | None


def is_installed() -> bool:
    return shutil.which("wrk") is not None


def measure(target: Target, connections: int, seconds: float, postgres_pid: int) -> Run:
    pids = [postgres_pid, target.server.pid]
    if target.asked is not None:
        pids.append(target.asked.pid)
    before = [cpu_seconds(pid) for pid in pids]
    seen = run_wrk(target, connections, seconds)
    used = [cpu_seconds(pid) - was for pid, was in zip(pids, before, strict=True)]
    postgres, server = used[0], sum(used[1:])
    thousands = max(seen["requests"], 1) / 1000
    return Run(
        target=target.name,
        requests_per_second=seen["requests"] / (seen["microseconds"] / 1e6),
        p50=seen["p50"] / 1000,
        p99=seen["p99"] / 1000,
        server_cpu=server / thousands,
        postgres_cpu=postgres / thousands,
        fault=describe_fault(seen),
    )


def run_wrk(target: Target, connections: int, seconds: float) -> dict[str, float]:
    command = [
        "wrk",
        "--threads=1",
        f"--connections={connections}",
        f"--timeout={TIMEOUT_SECONDS}s",
    ]
    # wrk accepts only whole seconds.
    command += [f"--duration={max(round(seconds), 1)}s", f"--script={SCRIPT}"]
    url = f"{target.scheme}://{HOST}:{target.server.port}/"
    # The seed determines where the rotation begins.
    command += [url, "--", str(target.requests), str(random.randrange(2**31))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seen: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return seen


def describe_fault(seen: dict[str, float]) -> str | None:
    """Why the run is invalid, or None if every answer was a 2xx."""
    kinds = {"refused": "not 2xx", "broken": "broken off", "late": "without an answer in time"}
    faults = [f"{seen[kind]:.0f} {words}" for kind, words in kinds.items() if seen[kind]]
    if not seen["requests"]:
        faults.append("no answer at all")
    return ", ".join(faults) or None
