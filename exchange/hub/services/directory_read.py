"""Reading the key directory: agencies, keys, positions and pages of its log, a few indexed rows each.

Every reading is made in the caller's transaction, so a suspension or a revocation holds in every worker from
the moment it is committed. Nothing here may be kept between two requests, and nothing may read a whole log.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, Row, bindparam, select

from exchange.directory.rules import governance_pin
from exchange.directory.state import (
    AUTH,
    AgencyState,
    AgencyStatus,
    Governance,
    KeyState,
    KeyStatus,
    in_time,
)
from exchange.hub.models.directory import (
    directory_agency,
    directory_event,
    directory_head,
    directory_key,
    directory_node,
    governance,
)
from exchange.hub.sql import Call, Done, Statement
from exchange.log.tiles import TILE_HEIGHT, Tile, node_reader
from exchange.log.tree import EMPTY_ROOT, Frontier, consistency_proof
from exchange_keys.jws import Signed
from exchange_keys.public import PublicKey
from exchange_schemas.codec import JsonValue, b64u, decode_value, unb64u
from exchange_schemas.errors import Conflict, KeyWrongUse, KidUnknown, Malformed, NotFound
from exchange_schemas.event import Operator
from exchange_schemas.ids import AgencyId, Digest, Kid, check_kid
from exchange_schemas.limits import LIMITS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

PAGE_LIMIT: Final = 500
"""The most events of one page."""

_KEYS: Final = [column for column in directory_key.c if column.name != "event_idx"]
_AGENCY: Final = Statement(select(directory_agency).where(directory_agency.c.agency == bindparam("agency")))
_KEYS_OF: Final = Statement(select(*_KEYS).where(directory_key.c.agency == bindparam("agency")))
_KEY: Final = Statement(select(*_KEYS).where(directory_key.c.kid == bindparam("kid")))
_AUTH_KEY: Final = Statement(
    select(directory_key.c.alg, directory_key.c.raw, directory_key.c.nbf, directory_key.c.exp)
    .join(directory_agency, directory_agency.c.agency == directory_key.c.agency)
    .where(
        directory_key.c.agency == bindparam("agency"),
        directory_key.c.kid == bindparam("kid"),
        directory_key.c.use == AUTH,
        directory_key.c.status == KeyStatus.ACTIVE.value,
        directory_agency.c.status == AgencyStatus.ACTIVE.value,
    )
)
_HOLDERS: Final = Statement(
    select(directory_key.c.holder).where(
        directory_key.c.agency == bindparam("agency"),
        directory_key.c.kid.in_(bindparam("kids", expanding=True)),
    )
)
_GOVERNANCE: Final = select(governance)
_FIRST: Final = select(directory_event.c.event).where(directory_event.c.idx == 0)
_HEAD: Final = Statement(select(directory_head.c.size, directory_head.c.frontier))
_ROOT: Final = Statement(select(directory_event.c.root).where(directory_event.c.idx == bindparam("idx")))
_RANGE: Final = (bindparam("start", type_=BigInteger), bindparam("end", type_=BigInteger))
_EVENTS: Final = (
    select(directory_event.c.idx, directory_event.c.event)
    .where(directory_event.c.idx.between(*_RANGE))
    .order_by(directory_event.c.idx)
)
_EVENT_KEYS: Final = select(directory_key.c.event_idx, directory_key.c.kid, directory_key.c.raw).where(
    directory_key.c.event_idx.between(*_RANGE)
)
_LEAVES: Final = (
    select(directory_event.c.leaf)
    .where(directory_event.c.idx.between(*_RANGE))
    .order_by(directory_event.c.idx)
)
_NODES: Final = (
    select(directory_node.c.hash)
    .where(directory_node.c.level == bindparam("level"), directory_node.c.idx.between(*_RANGE))
    .order_by(directory_node.c.idx)
)


@dataclass(frozen=True, slots=True)
class Member:
    """What most requests ask about an agency: who it is and whether it takes part; its keys apart."""

    agency: AgencyId
    name: str
    kind: str
    country: str
    public_authority: bool
    contact: str
    status: AgencyStatus


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One event of the log: its index, its JWS as JSON bytes, and the raw keys that it brought."""

    index: int
    event: bytes
    keys: Mapping[Kid, bytes]


@dataclass(frozen=True, slots=True)
class Page:
    """Events from one position on, the log as it stands, and the proof that it continues that position."""

    events: tuple[LoggedEvent, ...]
    tree: Frontier
    consistency: tuple[bytes, ...]


# -- agencies and keys ---------------------------------------------------------------------------------


def agency_of(conn: Connection, agency: AgencyId) -> Member:
    """Who the agency is and where it stands at this moment. Raises: NotFound when it was never admitted."""
    return _member(_AGENCY.rows(conn, {"agency": agency}))


def asking_client(agency: AgencyId, kid: Kid) -> tuple[Call, Call]:
    """What gives the rows for `client_in`."""
    return _AGENCY.call(agency=agency), _AUTH_KEY.call(agency=agency, kid=kid)


def client_in(found: Sequence[Done], now: datetime) -> tuple[Member, PublicKey | None]:
    """The agency, and its OAuth client key with the id asked for if it may use it now. Raises: NotFound."""
    member, key = found
    return _member(member.rows), _in_force(key.rows, now)


def _member(rows: list[Any]) -> Member:
    if not rows:
        raise NotFound("there is no such agency")
    (row,) = rows
    return Member(
        AgencyId(row.agency),
        row.name,
        row.kind,
        row.country,
        row.public_authority,
        row.contact,
        AgencyStatus(row.status),
    )


def state_of(conn: Connection, agency: AgencyId) -> AgencyState | None:
    """The agency with every key that it ever had; None when it was never admitted."""
    row = _AGENCY.one(conn, {"agency": agency})
    if row is None:
        return None
    keys = [key_state(item) for item in _KEYS_OF.rows(conn, {"agency": agency})]
    return _agency_state(row, {key.kid: key for key in keys})


def key_of(
    conn: Connection, kid: Kid, *, use: str, agency: AgencyId, now: datetime, shut_out: bool = False
) -> PublicKey:
    """The agency's key, if something new may be made with it now (the rules are `AgencyState.require_key`'s).

    `shut_out`: also when the agency is suspended or expelled, for what it may still do: take consents back.
    Raises: KidUnknown, KeyWrongUse (another use, another agency), KeyRevoked, KeyNotActive.
    """
    key = key_in(conn, kid)
    if key is None:
        raise KidUnknown("kid: no key of the directory has this id", field="kid", rule="K1-known")
    if key.agency != agency:
        raise KeyWrongUse("kid: the key is another agency's", field="kid", rule="K2-use")
    owner = _agency_state(_AGENCY.only(conn, {"agency": agency}), {kid: key})
    if shut_out:
        owner = replace(owner, status=AgencyStatus.ACTIVE)
    return owner.require_key(kid, use=use, now=now).public


def key_in(conn: Connection, kid: Kid) -> KeyState | None:
    """The key with this id, whosever and whatever its standing; None when there is none."""
    row = _KEY.one(conn, {"kid": kid})
    return None if row is None else key_state(row)


def auth_key(conn: Connection, agency: AgencyId, kid: Kid, now: datetime) -> PublicKey | None:
    """The OAuth client key with this id, if the agency may use it now.

    One row or none: how many keys an agency has, or whether there is such an agency, costs no time.
    """
    return _in_force(_AUTH_KEY.rows(conn, {"agency": agency, "kid": kid}), now)


def _in_force(rows: list[Any], now: datetime) -> PublicKey | None:
    at = now.timestamp()
    return next((PublicKey(row.alg, bytes(row.raw)) for row in rows if in_time(at, row.nbf, row.exp)), None)


def holders_of(conn: Connection, agency: AgencyId, kids: Collection[Kid]) -> frozenset[str]:
    """The persons who hold these keys of the agency, as it calls them.

    Keys that name no holder count together as one person: two of them prove no second one.
    """
    rows = _HOLDERS.rows(conn, {"agency": agency, "kids": list(kids)}) if kids else []
    return frozenset("" if row.holder is None else row.holder for row in rows)


def key_state(row: Row[Any]) -> KeyState:
    """A row of directory_key as a value."""
    return KeyState(
        kid=Kid(row.kid),
        agency=AgencyId(row.agency),
        use=row.use,
        public=PublicKey(row.alg, bytes(row.raw)),
        status=KeyStatus(row.status),
        nbf=_when(row.nbf),
        exp=_when(row.exp),
        until=_when(row.until),
        holder=row.holder,
    )


def _agency_state(row: Row[Any], keys: Mapping[Kid, KeyState]) -> AgencyState:
    return AgencyState(
        agency=AgencyId(row.agency),
        name=row.name,
        kind=row.kind,
        country=row.country,
        public_authority=row.public_authority,
        contact=row.contact,
        status=AgencyStatus(row.status),
        standing_since=datetime.fromtimestamp(row.standing_since, UTC),
        root=Digest(row.root),
        keys=keys,
    )


def _when(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


# -- governance ----------------------------------------------------------------------------------------


def governance_of(conn: Connection) -> Governance | None:
    """Who governs at this moment; None before the first event."""
    row = conn.execute(_GOVERNANCE).one_or_none()
    if row is None:
        return None
    members = decode_value(bytes(row.operators), limit=LIMITS.event_bytes)
    operators = tuple(_operator(member) for member in members) if isinstance(members, list) else ()
    return Governance(row.k, operators, datetime.fromtimestamp(row.since, UTC))


def operators_json(governance: Governance) -> list[JsonValue]:
    """The operators as their row and the deployment's pins hold them: name, kid and raw key of each."""
    return [{"name": one.name, "kid": one.kid, "key": b64u(one.key)} for one in governance.operators]


def pin_of(conn: Connection) -> Digest | None:
    """The digest of the first governance event's payload, which members pin; None before it."""
    event = conn.execute(_FIRST).scalar_one_or_none()
    return None if event is None else governance_pin(Signed.from_bytes(bytes(event), LIMITS.event_bytes))


def _operator(member: JsonValue) -> Operator:
    if not isinstance(member, dict):
        raise Malformed("operators: an object is needed", field="operators")
    return Operator(
        name=f"{member['name']}",
        kid=check_kid(member["kid"], field="kid"),
        key=unb64u(member["key"], field="key", length=32),
    )


# -- the log -------------------------------------------------------------------------------------------


def head(conn: Connection) -> Frontier:
    """The log as it stands: its size and frontier."""
    row = _HEAD.only(conn, {})
    return Frontier.from_bytes(bytes(row.frontier), size=row.size)


def position(conn: Connection) -> tuple[int, bytes]:
    """The number of events and the 32-byte root."""
    tree = head(conn)
    return tree.size, tree.root()


def asking_root(size: int) -> Call:
    """Gives the rows for `root_in`: the root when there were `size` events."""
    return _ROOT.call(idx=size - 1)


def root_in(rows: list[Any], size: int) -> bytes | None:
    """The root when there were `size` events; None when there never were that many."""
    if size == 0:
        return EMPTY_ROOT
    return bytes(rows[0].root) if rows else None


def page(conn: Connection, after: int, limit: int) -> Page:
    """At most `limit` events from index `after` on, and the proof from that tree to the present one.

    Raises: Conflict when the log has fewer than `after` events: whoever asks has seen more of it.
    """
    tree = head(conn)
    if after > tree.size:
        raise Conflict(
            "after: the directory has fewer events than that",
            field="after",
            hint="if you hold more events than the hub, it was rolled back: keep them and raise an alarm",
        )
    place = {"start": after, "end": min(after + min(limit, PAGE_LIMIT), tree.size) - 1}
    keys: dict[int, dict[Kid, bytes]] = {}
    for row in conn.execute(_EVENT_KEYS, place):
        keys.setdefault(row.event_idx, {})[Kid(row.kid)] = bytes(row.raw)
    events = tuple(
        LoggedEvent(row.idx, bytes(row.event), keys.get(row.idx, {})) for row in conn.execute(_EVENTS, place)
    )
    # A proof asks for several nodes of one tile.
    load = cache(partial(tile, conn))
    proof = consistency_proof(after, tree.size, node_reader(tree.size, load))
    return Page(events, tree, tuple(proof))


def tile(conn: Connection, part: Tile) -> bytes:
    """The hashes of one tile of the log, one after another."""
    place = {"start": part.start, "end": part.start + part.width - 1}
    if part.level == 0:
        return b"".join(bytes(leaf) for leaf in conn.execute(_LEAVES, place).scalars())
    nodes = conn.execute(_NODES, {**place, "level": (part.level or 0) * TILE_HEIGHT}).scalars()
    return b"".join(bytes(node) for node in nodes)
