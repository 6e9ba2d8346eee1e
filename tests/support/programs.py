"""Programs that some tests drive: present, or skipped by name at home and a failure in CI."""

import os
import shutil
import sysconfig

import pytest


def require_program(*names: str) -> str:
    """The path of the first of `names` that is installed.

    Some come with a Python package; and Debian keeps servers off the path of ordinary users.
    """
    folders = [sysconfig.get_path("scripts"), "/usr/sbin", "/sbin"]
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), *folders])
    for name in names:
        if path := shutil.which(name, path=search):
            return path
    missing = f"{' or '.join(names)} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{missing}, and CI skips nothing", pytrace=False)
    pytest.skip(missing)
