"""Gives and takes roles by SQL, as an administrator at psql would."""

from tests.conftest import Sql


def give_role(sql: Sql, role: str, *, user_id: int = 1) -> None:
    sql(
        "INSERT INTO user_roles (user_id, role_id)"
        f" SELECT {user_id}, id FROM roles WHERE name = '{role}'"
    )


def take_role(sql: Sql, role: str, *, user_id: int = 1) -> None:
    sql(
        f"DELETE FROM user_roles WHERE user_id = {user_id}"
        f" AND role_id = (SELECT id FROM roles WHERE name = '{role}')"
    )
