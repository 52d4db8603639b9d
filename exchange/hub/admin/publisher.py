"""The publisher beside `serve`: a process that has both logs witnessed and their files written.

It is forked before the server starts any thread, with the keys that the parent unlocked. Two processes: a
keeper that only waits, and its child that publishes. Both end when the one above them is gone. With proof
that a log here is not the one that was witnessed they end the server: whatever it answered from then on would
stand in a log that outsiders know to be cut or forked.
"""

from __future__ import annotations

import logging
import os
import signal
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NoReturn

from exchange.hub.db import open_engine
from exchange.hub.services.publish_loop import publish_until
from exchange.hub.services.publishing import EVERY_S
from exchange.hub.tilestore import open_tiles
from exchange_schemas.codec import b64u

if TYPE_CHECKING:
    from exchange.hub.services.hub import Hub

NOT_WITNESSED: Final = 3
"""The exit code of a publisher that has such a proof."""
_LOOK_S: Final = 0.25
_AGAIN_S: Final = 5.0


def start_publisher(hub: Hub) -> Callable[[], None]:
    """Start it; gives what stops it. Nothing is started where there are neither witnesses nor files to write.

    Raises: ConfigInvalid, MissingExtra for the store of the files.
    """
    if hub.witnesses is None and open_tiles(hub.settings) is None:
        return lambda: None
    server = os.getpid()
    keeper = _forked(lambda: _keep(hub, server))

    def stop() -> None:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(keeper, signal.SIGTERM)
            os.waitpid(keeper, 0)

    return stop


def _forked(work: Callable[[], int]) -> int:
    """Start a process that does this and ends with its code; the parent gets its number."""
    process = os.fork()
    if process == 0:
        _end_with(work)
    return process


def _end_with(work: Callable[[], int]) -> NoReturn:
    # Nothing of the parent's may be run or written here again, whatever happens.
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        code = work()
    except BaseException:  # noqa: BLE001  # a forked process has nobody above it to tell
        traceback.print_exc()
    finally:
        os._exit(code)


def _keep(hub: Hub, server: int) -> int:
    """Have it published as long as the server lives."""
    keeper = os.getpid()
    while os.getppid() == server:
        publisher = _forked(lambda: _publish(hub, keeper))
        code = _wait(publisher, server)
        if code == NOT_WITNESSED:
            logging.getLogger(__name__).error("the server stops: a log is not the one that was witnessed")
            os.kill(server, signal.SIGTERM)
            return code
        sleep_while(_AGAIN_S, server)
    return 0


def _wait(publisher: int, server: int) -> int:
    """The publisher's exit code; it is ended when the server is gone."""
    while True:
        ended, status = os.waitpid(publisher, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if sleep_while(_LOOK_S, server):
            os.kill(publisher, signal.SIGTERM)
            return os.waitstatus_to_exitcode(os.waitpid(publisher, 0)[1])


def _publish(hub: Hub, keeper: int) -> int:
    own = replace(hub, engine=open_engine(hub.settings.database_url))
    holder = b64u(hub.random(9))
    good = publish_until(own, holder, lambda: sleep_while(EVERY_S, keeper))
    return 0 if good else NOT_WITNESSED


def sleep_while(seconds: float, parent: int) -> bool:
    """Sleep; True as soon as this process has another parent than `parent`."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if os.getppid() != parent:
            return True
        time.sleep(min(_LOOK_S, left))
    return os.getppid() != parent
