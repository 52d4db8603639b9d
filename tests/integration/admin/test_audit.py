"""The audit log's upkeep: by a command, by the process beside the server, which ends with it."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from sqlalchemy import select

from exchange.hub.db import open_engine
from exchange.hub.models.slices import slice_state
from exchange.log.slices import Heads
from exchange_schemas.entry import Act
from tests.integration.admin.conftest import Shell, both
from tests.integration.admin.test_serve import serving
from tests.integration.ports import free_port


@both
def test_the_slices_are_brought_up_to_date_by_a_command(made: Shell) -> None:
    made.admit("ngo-a")
    size = len(made.entries())
    done = made.json("audit", "slices", "--once")
    assert done["entries"] == size
    last = made.entries()[-1]
    assert (last.id, last.act, last.opr) == (done["heads"], Act.SLICE_HEADS, "hub")
    found = Heads.of_entry(last.to_bytes())
    assert found is not None
    assert found.covers == size
    assert made.json("audit", "slices", "--once") == {"entries": 1, "heads": None}
    assert "nothing was new" in made.run("audit", "slices", "--once").stdout


def holder(made: Shell) -> int:
    """The process that has the turn."""
    engine = open_engine(made.database_url)
    with engine.connect() as conn:
        found = str(conn.execute(select(slice_state.c.holder)).scalar_one())
    engine.dispose()
    return int(found.rpartition("/")[2])


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.server
@pytest.mark.enable_socket
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_server_has_the_slices_kept_beside_it_and_takes_the_keeper_along(
    made: Shell, how: signal.Signals
) -> None:
    made.admit("ngo-a")
    with serving(made, free_port(), "--workers", "1", start_new_session=True) as server:
        until(lambda: made.entries()[-1].act == Act.SLICE_HEADS)
        keeper = holder(made)
        assert keeper != server.pid
        server.send_signal(how)
        server.wait(30)
        until(lambda: is_gone(keeper))
        # The workers of a server that was killed hold its pipes.
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
