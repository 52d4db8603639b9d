"""The operators' weighty acts: an event that k of them signed, and what follows from it, in one transaction.

Every act is one signed event of the key directory: who governs, who is admitted, who may take part. The hub
has no other way to do any of them, so what an operator did can be read from signatures alone. Nothing here
may sign, and no audit entry may name an operator whose signature was not verified.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from exchange.directory.rules import subject_of
from exchange.directory.signers import check_operators
from exchange.directory.state import Governance
from exchange.hub.db import reading, storage_errors
from exchange.hub.services.directory_append import append_event
from exchange.hub.services.directory_read import governance_of
from exchange.hub.services.notices import check_room
from exchange.hub.services.release import Answer, Released, Trace, release_admin
from exchange_schemas.entry import Act
from exchange_schemas.errors import KidUnknown, Malformed, NotPermitted
from exchange_schemas.event import (
    AdmitEvent,
    AgreementsEvent,
    Event,
    ExpelEvent,
    GovernanceEvent,
    ResumeEvent,
    SuspendEvent,
    read_event,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Engine

    from exchange.hub.services.hub import Hub
    from exchange.hub.services.unit import Unit
    from exchange_keys.jws import Signed
    from exchange_schemas.ids import Kid

HUB: Final = "hub"
"""What an entry says where the hub itself acted; no operator may be called that."""
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{1,31}")
_OPR_CHARS: Final = 80
_ACTS: Final[Mapping[type[Event], Act]] = {
    AdmitEvent: Act.AGENCY_ADMIT,
    SuspendEvent: Act.AGENCY_SUSPEND,
    ResumeEvent: Act.AGENCY_RESUME,
    ExpelEvent: Act.AGENCY_EXPEL,
    AgreementsEvent: Act.AGREEMENTS_SET,
}


def check_name(name: str) -> str:
    """An operator's name as it will stand in the audit log.

    Raises: Malformed unless it is 2 to 32 letters, digits, `_`, `.` or `-`, begins with a letter, and is not
    `hub`.
    """
    if _NAME.fullmatch(name) is None or name == HUB:
        raise Malformed(
            "name: 2 to 32 letters, digits, '_', '.' or '-', beginning with a letter, and not 'hub'",
            field="name",
        )
    return name


def governance_now(engine: Engine) -> Governance | None:
    """Who governs; None while the hub has no first event. Raises: AuditUnavailable, Unavailable."""
    with storage_errors(), reading(engine) as conn:
        return governance_of(conn)


def require_governance(engine: Engine) -> Governance:
    """As `governance_now`. Raises: NotPermitted when there is none yet."""
    governance = governance_now(engine)
    if governance is None:
        raise NotPermitted("the hub has no operator yet", hint="exchange-hub init")
    return governance


def decide(hub: Hub, signed: Signed, follow: Sequence[tuple[Signed, Mapping[Kid, bytes]]] = ()) -> Released:
    """Append an operators' event, then the events in `follow`, all or nothing, logged under who signed.

    The answer's body is {index}: the event's place in the directory.
    Raises: NotPermitted for an event that is not the operators'; KidUnknown, SenderMismatch, SigInvalid and
    the like when too few or the wrong ones signed (nothing is logged then: nobody is known to have acted);
    the errors of `exchange.directory.rules`, logged as a denial.
    """
    event = read_event(signed.payload)
    present = governance_now(hub.engine)
    act = _act_of(event, present)
    judges = _judges(event, present)
    check_operators(signed, judges, origin=hub.settings.origin)
    subject = subject_of(event)
    trace = Trace(act=act, own=() if subject is None else (subject,), pol=_version(event))

    def work(unit: Unit) -> Answer:
        index = append_event(unit, signed, {})
        if isinstance(event, AdmitEvent | ResumeEvent):
            check_room(unit.conn, event.agency)
        for item, keys in follow:
            append_event(unit, item, keys)
        return Answer({"index": index}, trace)

    return release_admin(hub, opr_of(names_of(signed, judges)), trace, work)


def names_of(signed: Signed, governance: Governance) -> list[str]:
    """The names of the operators whose keys the signatures name, in their order; nothing is verified.

    Raises: KidUnknown when a key is not an operator's.
    """
    names = {operator.kid: operator.name for operator in governance.operators}
    for item in signed.signatures:
        if item.kid not in names:
            raise KidUnknown(
                "the key that signed is not one of this deployment's operators",
                field="kid",
                hint="exchange-hub operator list",
            )
    return [names[item.kid] for item in signed.signatures]


def opr_of(names: Sequence[str]) -> str:
    """The operators as an audit entry names them: `asha/ben`; who has no room is counted."""
    text = "/".join(names)
    shown = len(names)
    while len(text) > _OPR_CHARS:
        shown -= 1
        text = "/".join([*names[:shown], f"and-{len(names) - shown}-more"])
    return text


def _act_of(event: Event, present: Governance | None) -> Act:
    if isinstance(event, GovernanceEvent):
        for operator in event.operators:
            check_name(operator.name)
        if present is None:
            return Act.HUB_INIT
        left = {operator.kid for operator in present.operators} - {one.kid for one in event.operators}
        return Act.OPERATOR_REMOVE if left else Act.OPERATOR_ADD
    act = _ACTS.get(type(event))
    if act is None:
        raise NotPermitted("the event is for the agency to sign, not for operators")
    return act


def _version(event: Event) -> str | None:
    return f"agreements@{event.version}" if isinstance(event, AgreementsEvent) else None


def _judges(event: Event, present: Governance | None) -> Governance:
    """Who must have signed: those who govern; the first event is signed by its own operators."""
    if present is not None:
        return present
    if isinstance(event, GovernanceEvent):
        return Governance(event.k, event.operators, event.iat)
    raise NotPermitted("the hub has no operator yet", hint="exchange-hub init")
