"""Checks on a real PostgreSQL that the migrations create what the models declare."""

import uuid

from database import migrations
from harness.postgresql import provide_server


def main() -> None:
    name = f"alembic_check_{uuid.uuid4().hex}"
    with provide_server() as server:
        url = server.create_database(name)
        try:
            migrations.upgrade(url)
            migrations.check(url)
        finally:
            server.drop_database(name)
    print("The migrations create what the models declare.")


if __name__ == "__main__":
    main()
