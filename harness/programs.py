"""Finds programs that some tests need. A missing one skips the test, but fails it in CI."""

import os
import shutil
import sysconfig
from pathlib import Path
from typing import NoReturn

import pytest

_REPOSITORY = Path(__file__).resolve().parents[1]
NODE_PACKAGES = _REPOSITORY / ".venv-node" / "node_modules"
OPENAPI_ENVIRONMENT = _REPOSITORY / ".venv-openapi"
MOVING_ENVIRONMENT = _REPOSITORY / ".venv-moving"
DOCS_ENVIRONMENT = _REPOSITORY / ".venv-docs"


def require_program(*names: str) -> str:
    """The path of the first of `names` that is installed.

    Also searches the scripts of Python packages, and /usr/sbin, which is not on the PATH of
    ordinary users on Debian.
    """
    folders = [sysconfig.get_path("scripts"), "/usr/sbin", "/sbin"]
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), *folders])
    for name in names:
        if path := shutil.which(name, path=search):
            return path
    return _skip_or_fail(" or ".join(names))


def require_node_package(name: str) -> Path:
    """The folder of a package that scripts/test installs if npm is available."""
    folder = NODE_PACKAGES / name
    if not folder.is_dir():
        _skip_or_fail(f"the Node package {name}")
    return folder


def require_openapi_client() -> Path:
    """openapi-python-client, which scripts/test installs into an environment of its own.

    It takes an older typer than we do.
    """
    program = OPENAPI_ENVIRONMENT / "bin" / "openapi-python-client"
    if not program.exists():
        _skip_or_fail("openapi-python-client")
    return program


def require_other_services() -> Path:
    """The Python that has other makers' services, which scripts/test installs beside ours.

    They take an older SQLAlchemy than we do.
    """
    python = MOVING_ENVIRONMENT / "bin" / "python"
    if not python.exists():
        _skip_or_fail("fastapi-users with django-rest-knox")
    return python


def require_mkdocs() -> Path:
    """mkdocs, which scripts/site and scripts/test install into an environment of its own."""
    program = DOCS_ENVIRONMENT / "bin" / "mkdocs"
    if not program.exists():
        _skip_or_fail("mkdocs")
    return program


def _skip_or_fail(what: str) -> NoReturn:
    missing = f"{what} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{missing}, and CI skips nothing", pytrace=False)
    pytest.skip(missing)
