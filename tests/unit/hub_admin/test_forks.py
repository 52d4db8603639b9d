"""A forked process that is told to end before it has handlers of its own ends, whatever its parent's do."""

import subprocess
import sys

import pytest

# In a program of its own: what it sets is for good.
PROGRAM = """
import os, signal, time
from exchange.hub.admin.forks import end_forked_at_once

signal.signal(signal.SIGTERM, lambda *_: None)
if {mended}:
    end_forked_at_once()
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: None)
    child = os.fork()
    if child == 0:
        time.sleep({patience})
        os._exit(7)
    os.kill(child, number)
    _, status = os.waitpid(child, 0)
    print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else "slept", end=" ")
os.kill(os.getpid(), signal.SIGTERM)
print("goes on")
"""


@pytest.mark.parametrize(
    ("mended", "patience", "said"), [(True, 60, "15 2 goes on"), (False, 0.2, "slept slept goes on")]
)
def test_a_forked_process_ends_when_told_at_its_first_moment(
    mended: bool, patience: float, said: str
) -> None:
    program = PROGRAM.format(mended=mended, patience=patience)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=50
    )
    assert done.stdout.strip() == said
