"""Recovery: an operator has looked at a log that the high-water mark does not allow, and takes it as it is.

The act is the new log's own entry, so that auditors see when and by whom. It must never be done by a program
alone: witnesses and agencies that saw the lost entries will ask about them.
"""

from collections.abc import Sequence

from exchange.hub.services import conflicts, highwater
from exchange.hub.services.hub import Hub
from exchange.hub.services.logs import AUDIT, DIRECTORY
from exchange.hub.services.release import Answer, Released, Trace, release_admin
from exchange.log.proof import parse_proof
from exchange_schemas.entry import Act
from exchange_schemas.errors import AuditUnavailable


def recover(hub: Hub, operator: str, logs: Sequence[str] = (AUDIT, DIRECTORY)) -> Released:
    """Log the operator's decision, and take high-water mark and what witnesses proved of `logs` as settled.

    Raises: AuditUnavailable or Unavailable when it cannot be logged; OSError or StorageFull when the mark
    cannot be written, and then nothing is recovered.
    """
    trace = Trace(Act.HUB_RECOVER)
    released = release_admin(hub, operator, trace, lambda _unit: Answer({}, trace))
    if released.receipt is None:
        raise AuditUnavailable("the recovery was not logged")
    highwater.write(highwater.path_of(hub), parse_proof(released.receipt.proof).note, hub.clock())
    conflicts.accept(hub.engine, operator, logs)
    return released
