"""The sharing agreements in force, as the hub's decisions need them.

Which event holds them is read in the transaction of every answer, so a new version counts in every worker
from the moment it is committed; what that event says can never change, so it is read once. Nothing here may
decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Engine, select

from exchange.consent import NO_POLICY, Policy
from exchange.directory.state import Agreements
from exchange.hub.db import reading, storage_errors
from exchange.hub.models.directory import directory_event, directory_head
from exchange_keys.jws import Signed
from exchange_schemas.errors import ExchangeError, Malformed
from exchange_schemas.event import AgreementsEvent, read_event
from exchange_schemas.limits import LIMITS

if TYPE_CHECKING:
    from exchange.hub.services.unit import Unit

POSITION: Final = select(directory_head.c.agreements).scalar_subquery()
"""The index of the event in force, for the statements of others."""
_POSITION: Final = select(directory_head.c.agreements)


@dataclass(frozen=True, slots=True)
class _Place:
    """An event of one hub's directory; the connection only says how to read it the first time."""

    engine: Engine
    index: int
    conn: Connection = field(compare=False)


def position_of_agreements(conn: Connection) -> int | None:
    """The index of the event in force; None while there is none."""
    index: int | None = conn.execute(_POSITION).scalar_one()
    return index


def agreements_now(engine: Engine) -> Agreements | None:
    """The agreements in force; None while there are none. Raises: AuditUnavailable, Unavailable."""
    with storage_errors(), reading(engine) as conn:
        return agreements_in(conn, position_of_agreements(conn))


def agreements_in(conn: Connection, index: int | None) -> Agreements | None:
    """The agreements of the event at `index`."""
    return None if index is None else _read(_Place(conn.engine, index, conn))[0]


def policy_in(conn: Connection, index: int | None) -> Policy:
    """The same as a decision takes them."""
    return NO_POLICY if index is None else _read(_Place(conn.engine, index, conn))[1]


def policy_now(unit: Unit) -> Policy:
    """The policy at this moment, where no other statement brings its position. One statement."""
    return policy_in(unit.conn, position_of_agreements(unit.conn))


def tag(policy: Policy) -> str | None:
    """How an audit entry names the agreements that a decision was made under."""
    return f"agreements@{policy.version}" if policy.version else None


@contextmanager
def deciding(policy: Policy) -> Iterator[None]:
    """What is refused inside was decided under these agreements: its audit entry says so."""
    try:
        yield
    except ExchangeError as error:
        if policy.version:
            vars(error)["agreements"] = policy.version
        raise


def agreements_of(error: ExchangeError) -> int | None:
    """The version that `deciding` has noted, if any."""
    version = vars(error).get("agreements")
    return version if isinstance(version, int) else None


@lru_cache(maxsize=64)
def _read(place: _Place) -> tuple[Agreements, Policy]:
    found = place.conn.execute(
        select(directory_event.c.event).where(directory_event.c.idx == place.index)
    ).scalar_one()
    event = read_event(Signed.from_bytes(bytes(found), LIMITS.event_bytes).payload)
    if not isinstance(event, AgreementsEvent):
        raise Malformed("the directory's head names an event that holds no agreements", field="agreements")
    return Agreements(event.version, event.agreements), Policy.of(event.version, event.agreements)
