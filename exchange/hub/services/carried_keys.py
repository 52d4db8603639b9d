"""Events of an agency's root that an operator carries to the hub, for an agency that cannot log in any more.

The operator adds nothing but the way: each event must be signed by both keys of the agency's present root,
and the rules of the directory decide as for any other. What an approver signed is never carried: whoever
stole a machine has such a key, and the root lies elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exchange.directory.rules import check_author
from exchange.hub.services.directory_append import append_event
from exchange.hub.services.directory_read import state_of
from exchange.hub.services.release import Answer, Released, Trace, release_admin
from exchange_schemas.entry import Act
from exchange_schemas.errors import NotFound, SenderMismatch
from exchange_schemas.event import read_event

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exchange.hub.services.hub import Hub
    from exchange.hub.services.unit import Unit
    from exchange_keys.jws import Signed
    from exchange_schemas.ids import AgencyId, Kid

CarriedEvent = tuple["Signed", "Mapping[Kid, bytes]"]


def log_carried(hub: Hub, operator: str, agency: AgencyId, events: Sequence[CarriedEvent]) -> Released:
    """Log events that the root of `agency` signed, each with the bytes of its new keys; all or none.

    Logged under the operator. The answer's body is {events}: how many.
    Raises: NotFound for an agency that is not there; SenderMismatch for what is not this agency's, or not
    signed by its root; the errors of `exchange.directory.rules`.
    """
    trace = Trace(act=Act.DIRECTORY_APPEND, own=(agency,))

    def work(unit: Unit) -> Answer:
        for signed, keys in events:
            check_author(read_event(signed.payload), agency)
            _check_root(unit, signed, agency)
            append_event(unit, signed, keys)
        return Answer({"events": len(events)}, trace)

    return release_admin(hub, operator, trace, work)


def _check_root(unit: Unit, signed: Signed, agency: AgencyId) -> None:
    state = state_of(unit.conn, agency)
    if state is None:
        raise NotFound("there is no such agency")
    root = {key.kid for key in state.active_root()}
    if not root <= {item.kid for item in signed.signatures}:
        raise SenderMismatch("events: not signed by the agency's root", field="events", rule="D08-quorum")
