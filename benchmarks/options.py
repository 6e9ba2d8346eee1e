"""The options of a run of the benchmarks."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"

TOKENS_PER_USER = 10
MAXIMUM_ROWS = 10_000_000


@dataclass(frozen=True)
class Options:
    """`seconds` is the length of one run of wrk. `only` names targets; empty means all."""

    rows: int = 100_000
    rounds: int = 5
    seconds: float = 5.0
    connections: tuple[int, ...] = (1, 16, 64)
    sample: int = 1_000
    only: frozenset[str] = frozenset()
    quick: bool = False
    results: Path | None = None

    @property
    def users(self) -> int:
        return max(self.rows // TOKENS_PER_USER, 1)

    def wants(self, target: str) -> bool:
        return not self.only or target in self.only
