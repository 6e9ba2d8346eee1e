"""Programs that some tests drive: present, or skipped by name at home and a failure in CI."""

import os
import shutil
import sysconfig
from pathlib import Path
from typing import NoReturn

import pytest

NODE_PACKAGES = Path(__file__).resolve().parents[1] / ".venv-node" / "node_modules"


def require_program(*names: str) -> str:
    """The path of the first of `names` that is installed.

    Some come with a Python package; and Debian keeps servers off the path of ordinary users.
    """
    folders = [sysconfig.get_path("scripts"), "/usr/sbin", "/sbin"]
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), *folders])
    for name in names:
        if path := shutil.which(name, path=search):
            return path
    return _do_without(" or ".join(names))


def require_node_package(name: str) -> Path:
    """The folder of a package that scripts/test has installed where there is npm."""
    folder = NODE_PACKAGES / name
    if not folder.is_dir():
        _do_without(f"the Node package {name}")
    return folder


def _do_without(what: str) -> NoReturn:
    missing = f"{what} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{missing}, and CI skips nothing", pytrace=False)
    pytest.skip(missing)
