"""The reign: which primary continues the write-ahead log, and that it still does."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from counterfoil.lookup.marks import TIMELINE

_BEGIN = text(f"""
INSERT INTO reign (id, number, nonce, timeline) VALUES (1, 1, gen_random_uuid(), {TIMELINE})
ON CONFLICT (id) DO UPDATE
SET number = reign.number + 1, nonce = excluded.nonce, timeline = excluded.timeline,
  began_at = clock_timestamp()
WHERE reign.timeline <> excluded.timeline
""")  # noqa: S608
# Does not wait for another worker that does the same: its commit may wait for a standby.
_RAISE_BEAT = text(f"""
UPDATE reign SET beat = beat + 1
WHERE id IN (SELECT id FROM reign WHERE beat = :seen FOR UPDATE SKIP LOCKED)
  AND timeline = {TIMELINE}
RETURNING beat
""")  # noqa: S608


class BeatTaken(Exception):
    """Another worker has raised the beat, or is just doing so."""


def begin(db: Session) -> None:
    """Begin a reign on a server that has been promoted. Does nothing on any other.

    Only for PostgreSQL.
    """
    db.execute(_BEGIN)


def raise_beat(db: Session, *, seen: int) -> None:
    """Show that commits are still confirmed. Raises BeatTaken unless the beat is the one `seen`."""
    if db.scalar(_RAISE_BEAT, {"seen": seen}) is None:
        raise BeatTaken
