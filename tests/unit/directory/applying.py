"""The state after some events, in one expression, as tests of the rules want it."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from exchange.directory.replay import Replay
from exchange.directory.state import DirectoryState
from exchange_keys.jws import Signed
from exchange_schemas.ids import Kid


def apply_event(
    state: DirectoryState,
    signed: Signed,
    key_bytes: Mapping[Kid, bytes],
    *,
    now: datetime | None = None,
) -> DirectoryState:
    """The state after one more event; `key_bytes` are the raw new keys that it names, by kid.

    Raises: as `rules.change_of`.
    """
    replay = Replay(state)
    replay.apply(signed, key_bytes, now=now)
    return replay.state()


def apply_events(
    state: DirectoryState, events: Iterable[tuple[Signed, Mapping[Kid, bytes]]]
) -> DirectoryState:
    """The state after many events. Raises: as `rules.change_of`, at the first that breaks a rule."""
    replay = Replay(state)
    for signed, key_bytes in events:
        replay.apply(signed, key_bytes)
    return replay.state()
