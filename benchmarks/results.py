"""Stores the results of scenarios as JSON, from which reports are generated."""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Figures, controls
from benchmarks.options import PEERS_PYTHON, ROOT, Options
from benchmarks.rounds import Series

FOLDER = ROOT / "benchmarks" / "results"
OURS = ("fastapi", "uvicorn", "uvloop", "httptools", "pydantic", "SQLAlchemy", "psycopg2-binary")
MUST_BE_EQUAL = ("fastapi", "uvicorn", "uvloop", "httptools", "pydantic")
THEIRS = ("PyJWT", "fastapi-users", "asyncpg", "Django", "django-rest-knox", "gunicorn")


@dataclass
class Result:
    """`failures` are the reasons why a run is invalid, `notes` are sentences for the report."""

    scenario: str
    options: dict[str, Any]
    machine: dict[str, Any]
    at: str
    figures: Figures = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    rounds: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_reported(self) -> bool:
        """Whether the run is valid and measured all targets."""
        return not (self.failures or self.options["only"] or self.options["quick"])

    def add_series(self, series: Sequence[Series]) -> None:
        """Add the rounds of a series. Too few kept rounds make the result invalid."""
        for one in series:
            where = f"{one.connections} connections"
            self.rounds += [block.as_json() for block in [*one.kept, *one.dropped]]
            self.dropped += [f"{where}: {block.reason_to_drop}" for block in one.dropped]
            if not one.is_complete:
                kept = f"{len(one.kept)} of {one.wanted}"
                self.failures.append(f"{where}: only {kept} rounds passed the control")
        self.figures |= controls(series)


def new_result(scenario: str, options: Options) -> Result:
    asked = asdict(replace(options, results=None)) | {"only": sorted(options.only)}
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return Result(scenario, asked, describe_machine(), at)


def describe_machine() -> dict[str, Any]:
    """What affects ratios. Names of hosts and processors are left out for privacy."""
    ours = {name: version(name) for name in OURS}
    return {
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.system(),
        "python": platform.python_version(),
        "ours": ours,
        "peers": versions_of_peers() if PEERS_PYTHON.exists() else {},
    }


def versions_of_peers() -> dict[str, str]:
    code = "import json, sys; from importlib.metadata import version;"
    code += "print(json.dumps({name: version(name) for name in sys.argv[1:]}))"
    command = [str(PEERS_PYTHON), "-c", code, *MUST_BE_EQUAL, *THEIRS]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def different_versions(machine: dict[str, Any]) -> list[str]:
    """Packages whose versions differ between product and peers, which would affect the ratios."""
    ours, peers = machine["ours"], machine["peers"]
    return [
        f"{name} is {ours[name]} here but {peers[name]} in .venv-peers"
        for name in MUST_BE_EQUAL
        if peers and ours[name] != peers[name]
    ]


def save(result: Result, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    stamp = result.at.replace(":", "").replace("-", "")[:15]
    path = folder / f"{result.scenario}-{stamp}.json"
    path.write_text(json.dumps(asdict(result), indent=1, allow_nan=True) + "\n")
    return path


def load(path: Path) -> Result:
    data = json.loads(path.read_text())
    figures = {name: Figure(**figure) for name, figure in data.pop("figures").items()}
    return Result(**data, figures=figures)


def load_newest(folder: Path) -> dict[str, Result]:
    """The newest reported result of each scenario. File names sort by date."""
    found: dict[str, Result] = {}
    for path in sorted(folder.glob("*.json")):
        result = load(path)
        if result.is_reported:
            found[result.scenario] = result
    return found
