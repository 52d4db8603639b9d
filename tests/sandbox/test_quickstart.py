"""docs/quickstart.md is true: every command of it runs, in its order, in one shell, against a sandbox."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.sandbox.conftest import PROGRAM, Running, environment

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.enable_socket]

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "quickstart.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORT = "8000"


def script(port: str) -> str:
    """All that a reader types after the sandbox runs."""
    lines = ["set -euo pipefail"]
    for language, text in BLOCK.findall(PAGE):
        if language == "sh":
            lines.append(text)
        elif language == "python":
            lines.append(f"python - <<'END'\n{text}END\n")
    return "\n".join(lines).replace(f":{PORT}", f":{port}")


@pytest.fixture(scope="module")
def typed(sandbox: Running) -> tuple[Path, str]:
    """The folder in which everything was typed, and what it printed."""
    folder = sandbox.folder.parent
    (folder / "docs").symlink_to(DOCS)
    env = environment(PATH=f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}")
    port = sandbox.base_url.rsplit(":", 1)[1]
    done = subprocess.run(
        ["bash", "-c", script(port)],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def test_the_page_starts_the_sandbox_as_the_command_is_called() -> None:
    (started,) = [text.strip() for language, text in BLOCK.findall(PAGE) if language == "console"]
    assert started == "exchange-hub sandbox --dir sandbox"
    assert {language for language, _ in BLOCK.findall(PAGE)} == {"console", "sh", "python"}


def test_curl_fetches_a_sealed_grant_with_its_receipt(typed: tuple[Path, str]) -> None:
    grant = json.loads((typed[0] / "grant.json").read_text("utf-8"))
    assert {"core", "sealed", "manifest", "parts", "consent", "receipt"} <= set(grant)


def test_a_used_proof_is_refused_and_its_page_explains_it(typed: tuple[Path, str]) -> None:
    folder, printed = typed
    problem = json.loads((folder / "problem.json").read_text("utf-8"))
    assert (problem["status"], problem["code"]) == (401, "UNAUTHORIZED")
    assert '"code":"UNAUTHORIZED"' in printed


def test_the_sdk_and_the_command_line_open_what_waits(typed: tuple[Path, str]) -> None:
    printed = typed[1]
    assert "found_notice of river-relief" in printed
    assert printed.count("Yara") >= 2
