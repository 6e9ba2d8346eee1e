"""Guards of the design that neither the type checker nor import-linter can hold."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import api
import authentication
import counterfoil
import database
import schemas
from api import errors as mapped
from api import routers
from authentication import errors
from counterfoil import errors as ground_errors
from counterfoil.errors import CounterfoilError
from harness.server import REPOSITORY

OURS = [api, authentication, counterfoil, database, schemas]


def modules() -> Iterator[ModuleType]:
    for package in OURS:
        for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            yield importlib.import_module(found.name)


def tree_of_errors(root: type[CounterfoilError] = CounterfoilError) -> Iterator[type]:
    for child in root.__subclasses__():
        yield child
        yield from tree_of_errors(child)


def test_every_error_of_the_tree_has_a_status() -> None:
    for error in tree_of_errors():
        assert any(kind in mapped.STATUSES for kind in error.__mro__), error


def test_every_error_of_the_tree_is_in_the_drawing_above_it() -> None:
    drawings = {module.__name__: str(module.__doc__) for module in (errors, ground_errors)}
    for error in tree_of_errors():
        assert f"─ {error.__name__}" in drawings[error.__module__]


def test_no_two_errors_that_are_raised_share_a_code() -> None:
    # A weak password is an invalid field, and "conflict" is never raised itself.
    codes = [
        error.code  # type: ignore[attr-defined]
        for error in tree_of_errors()
        if error not in {errors.Conflict, errors.WeakPassword}
    ]
    assert len(codes) == len(set(codes))
    assert all(code.isascii() and code.islower() for code in codes)


def test_the_folders_that_must_not_be_packages_are_none() -> None:
    for folder in ("alembic", "tests"):
        assert not list((REPOSITORY / folder).rglob("__init__.py"))


def test_every_module_opens_with_one_sentence() -> None:
    for module in modules():
        first = inspect.getdoc(module)
        assert first, module
        assert first.splitlines()[0][-1] in ".:", module


# prometheus_client takes the folder that workers share from PROMETHEUS_MULTIPROC_DIR alone, and
# `serve` hands on to its workers what it has settled for them.
TOUCHES_THE_ENVIRONMENT = {"api.observability.metrics", "api.server.launcher"}


def test_nothing_but_the_settings_reads_the_environment() -> None:
    for module in modules():
        if module.__name__ in TOUCHES_THE_ENVIRONMENT:
            continue
        source = inspect.getsource(module)
        assert "os.environ" not in source, module
        assert "getenv" not in source, module


def test_no_module_shadows_one_of_the_standard_library() -> None:
    shadows = {"token", "secrets", "email", "logging", "types", "select", "signal"}
    assert not shadows & {module.__name__.rpartition(".")[2] for module in modules()}


def test_nothing_above_the_database_writes_sql() -> None:
    """Statements are made in database/queries; other layers call its functions."""
    makers = {"select", "insert", "update", "delete", "text", "func"}
    for module in modules():
        if module.__name__.startswith("database"):
            continue
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("sqlalchemy"):
                assert not makers & {name.name for name in node.names}, module


def test_a_module_of_routes_exports_its_router_and_nothing_else() -> None:
    for found in pkgutil.iter_modules(routers.__path__, "api.routers."):
        module = importlib.import_module(found.name)
        endpoints = {getattr(route, "name", "") for route in module.router.routes}
        assert public_names(module) - endpoints == {"router"}, module


def public_names(module: ModuleType) -> set[str]:
    """What it defines by itself, and not with a leading underscore."""
    names = set()
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(one.id for one in node.targets if isinstance(one, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}
