"""The base programs run without the libraries of the extras, and a missing extra says so."""

import subprocess
import sys

import pytest

EXTRAS_ONLY = (
    "flask",
    "flask_smorest",
    "werkzeug",
    "authlib",
    "sqlalchemy",
    "alembic",
    "psycopg",
    "granian",
    "apispec",
    "pyarrow",
    "vl_convert",
)
BLOCK = """
import importlib.abc, sys
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        return None
sys.meta_path.insert(0, Missing())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in {names!r} else found(name, package)
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    source = BLOCK.format(names=EXTRAS_ONLY) + code
    return subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("program", ["exchange.agency.cli.main", "exchange.auditor.cli"])
def test_the_base_programs_start_without_the_libraries_of_the_extras(program: str) -> None:
    done = python(f"import sys; sys.argv = ['x', '--help']\nfrom {program} import main\nmain()")
    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout


def test_a_missing_extra_is_a_clear_message() -> None:
    done = python("from exchange.hub_entry import main\nmain()")
    assert done.returncode == 2
    assert done.stderr.startswith("error: exchange-hub needs the hub extra")
    assert 'hint: pip install "homeward-exchange[hub]"' in done.stderr
    assert "Traceback" not in done.stderr
