"""The environment of one peer: a venv made from its lock, every file checked by its hash, and kept.

The lock names no registry: pip asks the one that this machine is set up with.
"""

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
KEPT: Final = HERE.parent.parent / ".bench"
_SECONDS: Final = 300


class NotInstalled(Exception):
    """The reason in one line."""


def python_of(name: str) -> Path:
    """The interpreter of the peer's environment, which is made when its lock has changed.

    Raises: NotInstalled.
    """
    lock = HERE / f"{name}.lock"
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = KEPT / f"{name}-{digest}"
    python = folder / "bin" / "python"
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        tools = HERE / f"{name}.build.lock"
        if tools.exists():
            # A package of this peer has no wheel: what builds it is pinned as well.
            _install(python, tools, "--only-binary", ":all:")
        _install(python, lock, "--no-build-isolation")
        (folder / "made").touch()
    return python


def _install(python: Path, lock: Path, *more: str) -> None:
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--require-hashes", *more, "-r", lock]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"not installed within {_SECONDS} s") from None
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        raise NotInstalled(_last(errors or ["ERROR: pip failed"]).removeprefix("ERROR: "))


def _last(lines: list[str]) -> str:
    return lines[-1][:120]
