"""Agencies and keys of the directory as a check of many of them needs it: a few rows, read at once.

The rules are those of `exchange.directory.state`, on a part of the directory: the agencies asked for, and of
their keys those asked for. Nothing here may judge a key by itself, or take a missing row for a good one.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import BindParameter, Connection, and_, bindparam, select

from exchange.consent import NO_POLICY, Party, Policy
from exchange.directory.state import AgencyState, AgencyStatus, DirectoryState, KeyState, KeyStatus
from exchange.hub.models.directory import directory_agency, directory_key
from exchange.hub.services.agreements import POSITION, policy_in
from exchange.hub.sql import Call, Statement, together
from exchange.log.tree import Frontier
from exchange_keys.public import PublicKey
from exchange_schemas.errors import RecipientDenied
from exchange_schemas.ids import AgencyId, Digest, Kid

# No event is ever applied to this part of the directory, so its own times do not matter.
_NOT_READ: Final = datetime.min.replace(tzinfo=UTC)
# No key has this id.
_NO_KEY: Final = Kid("")
_KIDS: Final[BindParameter[Any]] = bindparam("kids", expanding=True)
_READ: Final = Statement(
    select(
        *(column.label(f"agency_{column.name}") for column in directory_agency.columns),
        *(column.label(f"key_{column.name}") for column in directory_key.columns),
        POSITION.label("agreements"),
    )
    .select_from(directory_agency)
    .outerjoin(
        directory_key,
        and_(directory_key.c.agency == directory_agency.c.agency, directory_key.c.kid.in_(_KIDS)),
    )
    .where(directory_agency.c.agency.in_(bindparam("agencies", expanding=True)))
)
_OWNERS: Final = Statement(
    select(directory_key.c.kid, directory_key.c.agency).where(directory_key.c.kid.in_(_KIDS))
)


def asking_parties(agencies: Collection[AgencyId], kids: Collection[Kid]) -> Call:
    """Gives the rows for `parties_in`: these agencies, and of their keys these."""
    return _READ.call(agencies=list(agencies), kids=list(kids) or [_NO_KEY])


def read_parties(
    conn: Connection, origin: str, agencies: Collection[AgencyId], kids: Collection[Kid] = ()
) -> DirectoryState:
    """The part of the directory that has these agencies, and of their keys these."""
    (found,) = together(conn, asking_parties(agencies, kids))
    return parties_in(conn, origin, found.rows, kids)


def parties_in(conn: Connection, origin: str, rows: list[Any], kids: Collection[Kid]) -> DirectoryState:
    """The same of rows that were asked for. Governance and log are left out.

    A statement more tells a key of another agency from one that does not exist.
    """
    keys = {row.key_kid: _key(row) for row in rows if row.key_kid is not None}
    owners = {kid: key.agency for kid, key in keys.items()}
    missing = [kid for kid in kids if kid not in keys]
    if missing:
        owners.update((row.kid, row.agency) for row in _OWNERS.rows(conn, {"kids": missing}))
    states = {row.agency_agency: _agency(row, keys) for row in rows}
    return DirectoryState(origin, None, None, states, owners, Frontier.empty())


def policy_of(conn: Connection, rows: list[Any]) -> Policy:
    """The sharing agreements in force, whose place came with the rows of `asking_parties`."""
    return policy_in(conn, rows[0].agreements) if rows else NO_POLICY


def party_of(directory: DirectoryState, agency: AgencyId) -> Party:
    """The agency as a party of a consent decision. Raises: RecipientDenied unless it takes part."""
    state = directory.agency(agency)
    if state is None or state.status is not AgencyStatus.ACTIVE:
        raise RecipientDenied("rcp: no agency that takes part at present", field="rcp", rule="agency-active")
    return Party(state.agency, state.kind, state.country, state.public_authority)


def _agency(row: Any, keys: dict[Kid, KeyState]) -> AgencyState:
    agency = AgencyId(row.agency_agency)
    return AgencyState(
        agency=agency,
        name=row.agency_name,
        kind=row.agency_kind,
        country=row.agency_country,
        public_authority=row.agency_public_authority,
        contact=row.agency_contact,
        status=AgencyStatus(row.agency_status),
        standing_since=_NOT_READ,
        root=Digest("" if row.agency_root is None else row.agency_root),
        keys={kid: key for kid, key in keys.items() if key.agency == agency},
    )


def _key(row: Any) -> KeyState:
    return KeyState(
        kid=Kid(row.key_kid),
        agency=AgencyId(row.key_agency),
        use=row.key_use,
        public=PublicKey(row.key_alg, bytes(row.key_raw)),
        status=KeyStatus(row.key_status),
        nbf=_time(row.key_nbf),
        exp=_time(row.key_exp),
        until=_time(row.key_until),
        holder=row.key_holder,
    )


def _time(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
