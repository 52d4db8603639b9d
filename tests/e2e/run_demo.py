"""Run the demo as a person does, with the test cost of passphrases."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 300


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end; if that does not come, whatever it started is ended with it."""
    command = [sys.executable, "-m", "demo", "--insecure-kdf", "--report", str(folder / "report.html")]
    with subprocess.Popen(
        [*command, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)
