"""The restore guard's question to the witnesses: does one hold more of a log than this hub, or another log?

Asked once at start. A log that is shorter than a witness cosigned, or has another root, may not be served
until an operator has looked (S8-witnessed). Witnesses that do not answer stop nothing, and are named: whoever
could reach a hub's witnesses could otherwise keep it down, and the high-water mark and the publisher, which
asks again within seconds and stops the hub on proof, stand beside this question.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from exchange.hub.services import conflicts
from exchange.hub.services.logs import hub_logs
from exchange.hub.services.startup import check_ready
from exchange.hub.services.visits import Visits, client_for
from exchange.log.cosignature import newest_cosignatures
from exchange_schemas.errors import CheckpointInvalid, ExchangeError, ServiceError

if TYPE_CHECKING:
    from exchange.hub.services.hub import Hub
    from exchange.hub.witnesspolicy import WitnessNamed


@dataclass(frozen=True, slots=True)
class _Said:
    witness: str
    conflict: conflicts.Contradiction | None = None
    unusable: str | None = None


def check_start(hub: Hub) -> list[str]:
    """All that must hold before the first request: the start-up checks, and what the witnesses know.

    Gives sentences about witnesses that could not be asked. Raises: as `check_ready`.
    """
    check_ready(hub)
    warnings = ask_witnesses(hub)
    check_ready(hub)
    return warnings


def ask_witnesses(hub: Hub, visits: Visits | None = None) -> list[str]:
    """Ask every witness for the newest note of each log; sentences about those that could not be used.

    A proof that a log went back or is another is remembered: `check_ready` refuses for it.
    Raises: AuditUnavailable, Unavailable when the database does not answer.
    """
    if hub.witnesses is None:
        return []
    named = hub.witnesses.witnesses
    work = {one.vkey: partial(_visit, hub, one) for one in named}
    answers = (Visits() if visits is None else visits).ask(work, len(named) * len(hub_logs(hub)))
    for answer in answers:
        if answer.conflict is not None:
            conflicts.remember(hub, answer.conflict)
    heard: dict[str, list[_Said]] = {one.name: [] for one in named}
    for answer in answers:
        heard[answer.witness].append(answer)
    return [
        f"the witness {name} could not be asked: {_why(said)}"
        for name, said in heard.items()
        if len(said) < len(hub_logs(hub)) or any(one.unusable is not None for one in said)
    ]


def _visit(hub: Hub, witness: WitnessNamed, put: Callable[[_Said], None]) -> None:
    client = client_for(witness.url)
    try:
        for log in hub_logs(hub):
            said = _Said(witness.name)
            try:
                note = client.latest(log.origin)
                if note is not None:
                    _check_own(note, witness, hub)
                    said = replace(said, conflict=conflicts.contradiction(hub, log, note, witness.name))
            except ServiceError:
                return
            except ExchangeError as error:
                said = replace(said, unusable=error.message)
            put(said)
    finally:
        client.wire.close()


def _check_own(note: str, witness: WitnessNamed, hub: Hub) -> None:
    if not newest_cosignatures(note, [witness.key], hub.clock()):
        raise CheckpointInvalid("it showed a checkpoint that it did not cosign")


def _why(said: list[_Said]) -> str:
    return next((one.unusable for one in said if one.unusable is not None), "no answer in time")
