"""Programs that some tests drive: present, or skipped by name at home and a failure in CI."""

import os
import shutil

import pytest


def require_program(*names: str) -> str:
    """The path of the first of `names` that is installed.

    Debian keeps servers in folders that are not on the path of ordinary users.
    """
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    for name in names:
        if path := shutil.which(name, path=search):
            return path
    missing = f"{' or '.join(names)} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{missing}, and CI skips nothing", pytrace=False)
    pytest.skip(missing)
