"""Importing builds no application, and commands start without the web framework."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.server import REPOSITORY

WRONG = {"COUNTERFOIL_PORT": "eighty", "COUNTERFOIL_NO_SUCH_SETTING": "1"}

RUN_COMMAND = """
import runpy, sys
sys.argv = ["api.py", *sys.argv[1:]]
try:
    runpy.run_path(PROGRAM, run_name="__main__")
finally:
    print("web:", sorted({"fastapi", "starlette", "uvicorn"} & set(sys.modules)))
""".replace("PROGRAM", repr(str(REPOSITORY / "api.py")))


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Python in an empty folder, with no settings but these."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={"PATH": os.defpath, "PYTHONPATH": str(REPOSITORY), **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_importing_a_module_builds_no_application(tmp_path: Path) -> None:
    # Building one would read the settings and exit.
    modules = ["api", "api.settings", "api.application", "api.server.worker"]
    code = "; ".join(f"import {module}; print('app' in vars(api))" for module in modules)
    done = run(tmp_path, "-c", code, **WRONG)
    assert (done.returncode, done.stdout, done.stderr) == (0, 4 * "False\n", "")


def test_the_application_is_built_once_when_it_is_asked_for(tmp_path: Path) -> None:
    code = "import api; from api import app; print(type(app).__mro__[1].__name__, app is api.app)"
    done = run(tmp_path, "-c", code)
    assert (done.stdout, done.stderr) == ("FastAPI True\n", "")


def test_wrong_settings_are_reported_when_the_application_is_asked_for(tmp_path: Path) -> None:
    done = run(tmp_path, "-c", "from api import app", **WRONG)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1


def test_another_name_is_an_attribute_error(tmp_path: Path) -> None:
    done = run(tmp_path, "-c", "import api; api.application_of_another_kind")
    assert "AttributeError: module 'api' has no attribute" in done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["sessions", "--help"]])
def test_help_is_shown_with_wrong_settings(arguments: list[str], tmp_path: Path) -> None:
    done = run(tmp_path, str(REPOSITORY / "api.py"), *arguments, **WRONG)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage:" in done.stdout


@pytest.mark.parametrize("command", [["--help"], ["migrate"], ["sessions", "list"], ["check"]])
def test_a_command_imports_no_web_framework(
    command: list[str], tmp_path: Path, sqlite_template: Path
) -> None:
    shutil.copy(sqlite_template, tmp_path / "counterfoil.db")
    done = run(tmp_path, "-c", RUN_COMMAND, *command)
    assert done.returncode == 0, done.stderr
    assert "web: []" in done.stdout


def test_a_worker_imports_no_commands(tmp_path: Path) -> None:
    code = """
import sys
from api.server.worker import load_app
load_app()
print(sorted(name for name in sys.modules if name == "typer" or name.startswith("api.commands")))
"""
    done = run(tmp_path, "-c", code)
    assert (done.stdout, done.stderr) == ("[]\n", "")
