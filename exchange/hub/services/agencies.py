"""Agencies as the operators see them: admitted with their own bundle, listed, shown.

An admission is the operators' event and the agency's own events in one transaction: no agency is ever in the
directory without the keys that it brought itself. Nothing here may fill in or change what an agency signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from exchange.directory.enrolment import CheckedEnrolment, check_bundle
from exchange.hub.db import reading, storage_errors
from exchange.hub.models.directory import directory_agency
from exchange.hub.services.directory_read import state_of
from exchange.hub.services.operators import decide
from exchange_schemas.errors import Conflict, NotFound
from exchange_schemas.event import AdmitEvent, read_event

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

    from exchange.directory.state import AgencyState
    from exchange.hub.services.hub import Hub
    from exchange.hub.services.release import Released
    from exchange_keys.jws import Signed
    from exchange_schemas.ids import AgencyId

_LIST: Final = select(
    directory_agency.c.agency,
    directory_agency.c.name,
    directory_agency.c.kind,
    directory_agency.c.country,
    directory_agency.c.status,
).order_by(directory_agency.c.agency)


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the list of agencies."""

    agency: str
    name: str
    kind: str
    country: str
    status: str


def admission(checked: CheckedEnrolment, *, origin: str, now: datetime) -> AdmitEvent:
    """The event that admits the agency of a checked bundle, exactly as it describes itself."""
    enrolment = checked.enrolment
    return AdmitEvent(
        origin=origin,
        iat=now.replace(microsecond=0),
        agency=enrolment.agency,
        name=enrolment.name,
        kind=enrolment.kind,
        country=enrolment.country,
        public_authority=enrolment.public_authority,
        contact=enrolment.contact,
        root=checked.root,
    )


def admit(hub: Hub, signed: Signed, bundle: Signed) -> Released:
    """Admit an agency: the operators' event, then the root-set and key events of its bundle, all or nothing.

    Raises: Conflict when the event admits something else than the bundle describes; the errors of
    `exchange.directory.enrolment.check_bundle` and of `decide`.
    """
    event = read_event(signed.payload)
    checked = check_bundle(bundle, origin=hub.settings.origin, now=hub.clock())
    if event != admission(checked, origin=hub.settings.origin, now=event.iat):
        raise Conflict("the signed admission is not that of the bundle beside it")
    return decide(hub, signed, checked.events)


def listed(engine: Engine) -> list[Listed]:
    """Every agency that was ever admitted, by its id."""
    with storage_errors(), reading(engine) as conn:
        return [Listed(*row) for row in conn.execute(_LIST)]


def shown(engine: Engine, agency: AgencyId) -> AgencyState:
    """One agency with every key that it ever had. Raises: NotFound."""
    with storage_errors(), reading(engine) as conn:
        state = state_of(conn, agency)
    if state is None:
        raise NotFound("there is no such agency", hint="exchange-hub agency list")
    return state
