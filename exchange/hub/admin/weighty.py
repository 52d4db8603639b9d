"""How a weighty command is carried out: signed by an operator, then done at once or handed on as a proposal.

With one signature needed the act is done and logged here; with more, nothing is changed and a proposal file
is written. Nothing weighty may be done by any other way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from exchange.directory.enrolment import fingerprint
from exchange.directory.state import Governance
from exchange.hub.admin.commands import NEW_FILE, Target
from exchange.hub.admin.operator_key import KeySource, OperatorKey
from exchange.hub.admin.output import confirm
from exchange.hub.admin.proposal import Proposal, facts_of, subject_name
from exchange.hub.services.agencies import admit
from exchange.hub.services.hub import Hub
from exchange.hub.services.operators import decide, require_governance
from exchange.hub.services.release import Released
from exchange.words import marked
from exchange_keys.jws import Signed
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import NotPermitted
from exchange_schemas.event import Event
from exchange_schemas.ids import Digest

proposal_option = click.option(
    "--proposal", type=NEW_FILE, help="Where to write the proposal when more than one operator must sign."
)
WAITS: Final = marked("nothing is changed yet: 1 of {needed} operators has signed {proposal}")
NEXT: Final = marked(
    "next: `exchange-hub operator sign {proposal} --operator-key FILE`, on each other operator's machine, "
    "then `{again}`"
)
_DONE: Final = {
    "governance": marked("the operators are changed"),
    "admit": marked("{agency} is admitted"),
    "suspend": marked(
        "{agency} is suspended: it gets no token and nothing is sent to it until it is resumed"
    ),
    "resume": marked("{agency} takes part again"),
    "agreements": marked("version {version} of the sharing agreements is in force"),
    "expel": marked("{agency} is expelled, for good"),
}


def open_operator(source: KeySource, hub: Hub) -> OperatorKey:
    """Open the key and see that it belongs to one who governs.

    Raises: NotPermitted when it does not; as `KeySource.open`.
    """
    governance = require_governance(hub.engine)
    found = source.open(allow_insecure=hub.settings.insecure_kdf)
    if governance.key(found.key.public.kid) is None:
        raise NotPermitted(
            f"the key in {source.path.name} is not one of this deployment's operators",
            hint="exchange-hub operator list",
        )
    return found


def carry_out(
    target: Target,
    hub: Hub,
    event: Event,
    key: OperatorKey,
    *,
    proposal: Path | None,
    bundle: Signed | None = None,
) -> None:
    """Do what the event says, or write a proposal where one signature is not enough."""
    begun = Proposal.begin(event, key.key, bundle)
    governance = require_governance(hub.engine)
    if governance.k == 1:
        submit(target, hub, begun)
        return
    path = Path(f"{event.event}-{subject_name(event)}.proposal.json") if proposal is None else proposal
    begun.write(path, replace_file=False)
    target.out.done(
        WAITS,
        {"proposal": str(path), "signatures": 1, "needed": governance.k},
    )
    target.out.note(NEXT, proposal=str(path), again=f"exchange-hub operator submit {path}")


def submit(target: Target, hub: Hub, proposal: Proposal) -> None:
    """Do what a proposal says, all of it or nothing. Raises: as `decide` and `admit`."""
    event = proposal.content
    if proposal.bundle is None:
        released = decide(hub, proposal.event)
    else:
        released = admit(hub, proposal.event, proposal.bundle)
    governance = require_governance(hub.engine)
    facts = facts_of(event)
    target.out.done(_DONE[event.event], {**facts, **_outcome(released, proposal, governance)})


def confirm_fingerprint(shown: str, expected: str | None, *, whose: str) -> None:
    """Have the fingerprint compared: with --fingerprint by this program, else by the person at the terminal.

    Raises: NotPermitted when it is another one; click.Abort when the person does not confirm.
    """
    if expected is None:
        confirm("Did {whose} read you the same fingerprint, by voice?", whose=whose)
    elif _plain(expected) != _plain(shown):
        raise NotPermitted(
            f"the fingerprint is not that of {whose}",
            hint="stop, and compare it with them by voice; the file may be somebody else's",
        )


def kid_fingerprint(kid: str) -> str:
    """A key id for reading aloud."""
    return fingerprint(Digest(kid))


def _outcome(released: Released, proposal: Proposal, governance: Governance) -> dict[str, JsonValue]:
    known = {operator.kid: operator.name for operator in governance.operators}
    return {
        "index": released.body["index"],
        "entry": None if released.receipt is None else released.receipt.entry_id,
        "signed_by": [known.get(item.kid, item.kid) for item in proposal.event.signatures],
    }


def _plain(text: str) -> str:
    return "".join(char for char in text.upper() if char not in "- ")
