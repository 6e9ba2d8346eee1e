"""Whether the tables are at the newest migration, as the service asks it at its start."""

from alembic.script import ScriptDirectory

from database import migrations, revisions


def test_the_newest_revision_is_the_one_that_alembic_names() -> None:
    scripts = ScriptDirectory(str(migrations.ROOT / "alembic"))
    assert revisions.newest() == scripts.get_current_head()


def test_a_database_is_current_after_upgrade_and_not_after_a_step_back(database_url: str) -> None:
    assert revisions.is_current(database_url)
    migrations.downgrade(database_url, "-1")
    assert not revisions.is_current(database_url)
    migrations.downgrade(database_url, "base")
    assert not revisions.is_current(database_url)
    migrations.upgrade(database_url)
    assert revisions.is_current(database_url)
