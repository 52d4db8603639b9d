"""Running the three programs as a person would, and the files with passphrases that they need."""

import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

INSECURE_KDF = "HOMEWARD_INSECURE_KDF"


class CommandFailed(Exception):
    """A program ended with another code than expected; the message holds what it said."""


def run(name: str, *arguments: str, expect: int = 0, settings: Mapping[str, str] | None = None) -> str:
    """Run one of the three programs and give what it printed. Raises: CommandFailed."""
    env = environment() | ({} if settings is None else dict(settings))
    command = [str(program(name)), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode != expect:
        raise CommandFailed(
            f"{name} {arguments[0]} ended with {done.returncode}:\n{done.stderr}{done.stdout}"
        )
    return done.stdout


def program(name: str) -> Path:
    """Where the program is that belongs to this Python."""
    return Path(sys.executable).with_name(name)


def environment() -> dict[str, str]:
    """The environment without the HOMEWARD_ settings of the person who runs this.

    Only the test cost of passphrases stays.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if name == INSECURE_KDF or not name.startswith("HOMEWARD_")
    }


def secret_file(path: Path) -> Path:
    """A new file that only its owner may read, with a random passphrase."""
    path.touch(mode=0o600)
    path.write_text(secrets.token_urlsafe(24) + "\n", "utf-8")
    return path


def secret_in(path: Path) -> str:
    """The passphrase in such a file."""
    return path.read_text("utf-8").strip()
