"""One sandbox for each test process, started by its command as an integrator starts it."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.ports import free_port

PROGRAM = Path(sys.executable).with_name("exchange-hub")
START_S = 240


@dataclass(frozen=True, slots=True)
class Running:
    """A started sandbox: its folder, and what the command printed in JSON, also the first time."""

    folder: Path
    facts: dict[str, Any]
    first: dict[str, Any]

    @property
    def base_url(self) -> str:
        return str(self.facts["base_url"])

    def agency(self, name: str) -> dict[str, str]:
        (found,) = [one for one in self.facts["agencies"] if one["id"] == name]
        return dict(found)


def environment(**settings: str) -> dict[str, str]:
    """The environment of a command: no settings but these, and key files that open at once."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOMEWARD_")}
    return kept | {"HOMEWARD_INSECURE_KDF": "1"} | settings


def start(folder: Path, *arguments: str) -> tuple["subprocess.Popen[str]", dict[str, Any]]:
    """Start a sandbox in `folder` and wait until it says that it serves."""
    command = [str(PROGRAM), "sandbox", "--dir", str(folder), "--json", *arguments]
    with (folder.parent / f"{folder.name}.err").open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment()
        )
    assert process.stdout is not None
    deadline = time.monotonic() + START_S
    while not select.select([process.stdout], [], [], 1)[0]:
        assert time.monotonic() < deadline, "the sandbox did not start"
    line = process.stdout.readline()
    assert line, (folder.parent / f"{folder.name}.err").read_text()
    return process, json.loads(line)


def stop(process: "subprocess.Popen[str]") -> int:
    """End it as a service manager would; its exit code."""
    process.terminate()
    code = process.wait(60)
    if process.stdout is not None:
        process.stdout.close()
    return code


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A sandbox in the folder `sandbox` of a folder of its own, made, stopped and started again."""
    folder = tmp_path_factory.mktemp("integrator") / "sandbox"
    process, first = start(folder, "--port", str(free_port()))
    assert stop(process) == 0
    process, facts = start(folder)
    try:
        yield Running(folder, facts, first)
    finally:
        assert stop(process) == 0
