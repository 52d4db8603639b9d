"""The key directory: pages of its log, its keys, and the events that agencies add.

An agency may add events about its own keys and no others; whether one may follow is for the rules of
`exchange.directory`. Operators' events come through services/agencies.py and services/operators.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from exchange.directory.events import read_key_bytes
from exchange.directory.rules import check_author
from exchange.hub.services.directory_append import append_event
from exchange.hub.services.directory_read import (
    PAGE_LIMIT,
    LoggedEvent,
    agency_of,
    asking_client,
    asking_root,
    auth_key,
    client_in,
    holders_of,
    key_in,
    key_of,
    page,
    position,
    root_in,
    state_of,
)
from exchange.hub.services.logs import directory_log
from exchange.hub.services.release import Answer, Caller, Released, Trace, release
from exchange.hub.services.witnessed import shown_note
from exchange_keys.jws import Signed
from exchange_schemas.codec import JsonValue, b64u, decode
from exchange_schemas.entry import Act
from exchange_schemas.errors import NotFound
from exchange_schemas.event import read_event
from exchange_schemas.limits import LIMITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exchange.hub.services.hub import Hub
    from exchange.hub.services.unit import Unit
    from exchange_schemas.ids import Kid

__all__ = [
    "PAGE_LIMIT",
    "agency_of",
    "append_event",
    "asking_client",
    "asking_root",
    "auth_key",
    "client_in",
    "holders_of",
    "key_of",
    "log_event",
    "page",
    "position",
    "read_events",
    "read_key",
    "root_in",
    "state_of",
]

# -- requests ------------------------------------------------------------------------------------------


def read_events(hub: Hub, caller: Caller, *, after: int, limit: int) -> Released:
    """The events after the first `after`, with a checkpoint and the proof that leads there.

    A page without an event is not logged. Raises: Conflict when the log is shorter than `after`.
    """
    trace = Trace(act=Act.DIRECTORY_READ)

    def work(unit: Unit) -> Answer:
        # Before the page, so that its tree is never the smaller one.
        shown = shown_note(hub, unit.conn, directory_log(hub))
        found = page(unit.conn, after, limit)
        body: dict[str, JsonValue] = {
            "events": [_event_json(item) for item in found.events],
            "size": found.tree.size,
            "checkpoint": directory_log(hub).note(found.tree),
            "consistency": [b64u(node) for node in found.consistency],
        }
        if shown is not None:
            body["witnessed"] = shown
        return Answer(body, trace, logged=bool(found.events))

    return release(hub, caller, trace, work, reads=True)


def read_key(hub: Hub, caller: Caller, kid: Kid) -> Released:
    """A public key by its id, whatever its standing. Raises: NotFound."""
    trace = Trace(act=Act.KEY_READ)

    def work(unit: Unit) -> Answer:
        key = key_in(unit.conn, kid)
        if key is None:
            raise NotFound("the directory has no such key")
        body: dict[str, JsonValue] = {"kid": kid, "alg": key.public.alg, "key": b64u(key.public.raw)}
        return Answer(body, replace(trace, own=(key.agency,)))

    return release(hub, caller, trace, work, reads=True)


def log_event(
    hub: Hub, caller: Caller, event: Mapping[str, JsonValue], keys: Mapping[str, JsonValue]
) -> Released:
    """Log an event that the caller signed about its own keys.

    Raises: SenderMismatch for any other event; Malformed; the errors of `exchange.directory.rules`.
    """
    trace = Trace(act=Act.DIRECTORY_APPEND)

    def work(unit: Unit) -> Answer:
        signed = Signed.from_json(dict(event), LIMITS.event_bytes)
        check_author(read_event(signed.payload), caller.agency)
        raw = read_key_bytes(keys)
        return Answer({"index": append_event(unit, signed, raw)}, trace, status=201)

    return release(hub, caller, trace, work)


def _event_json(item: LoggedEvent) -> dict[str, JsonValue]:
    keys: dict[str, JsonValue] = {kid: b64u(raw) for kid, raw in item.keys.items()}
    return {
        "index": item.index,
        "event": decode(item.event, limit=LIMITS.signed_object_bytes),
        "keys": keys,
    }
