"""The reign: which primary continues the write-ahead log."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from counterfoil.lookup.marks import TIMELINE

_BEGIN = text(f"""
INSERT INTO reign (id, number, nonce, timeline) VALUES (1, 1, gen_random_uuid(), {TIMELINE})
ON CONFLICT (id) DO UPDATE
SET number = reign.number + 1, nonce = excluded.nonce, timeline = excluded.timeline
WHERE reign.timeline <> excluded.timeline
""")  # noqa: S608


def begin(db: Session) -> None:
    """Begin a reign on a server that has been promoted. Does nothing on any other.

    Only for PostgreSQL.
    """
    db.execute(_BEGIN)
