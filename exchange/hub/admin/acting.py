"""How an act of the hub comes by its signatures: of one operator at once, or of several by a file.

With one signature needed the act's names are given and it may be done; with more, the file is written that
the others sign, and nothing is done yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from exchange.hub.admin.commands import FILE, NEW_FILE, F, Target
from exchange.hub.admin.hub_act import HubAct, Statement
from exchange.hub.admin.operator_key import KeySource
from exchange.hub.admin.weighty import NEXT, WAITS, open_operator
from exchange.hub.services.hub import Hub
from exchange.hub.services.operators import require_governance
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import Malformed

_PROPOSAL = click.option(
    "--proposal", type=NEW_FILE, help="Where to write the act when more operators must sign."
)
_APPROVED = click.option("--approved", type=FILE, help="The act that enough operators have signed.")


def act_options(command: F) -> F:
    """Where the act is written that others must sign, and where it is read from when they have."""
    return _PROPOSAL(_APPROVED(command))


def begun(hub: Hub, statement: Statement, source: KeySource | None) -> HubAct:
    """The statement, signed by the operator who is here. Raises: Malformed without a key; NotPermitted."""
    if source is None:
        raise Malformed("operator-key: the key file of the operator who signs is needed")
    return HubAct.begin(statement, open_operator(source, hub).key)


def signers(
    target: Target,
    hub: Hub,
    act: HubAct,
    *,
    kind: str,
    expected: Mapping[str, JsonValue],
    proposal: Path,
    approved: bool,
    again: str,
) -> list[str] | None:
    """The names of the operators who signed; None when others must sign first, and then the file is written.

    `approved`: the act came from a file that went round. `again`: the command that does it then.
    Raises: as `HubAct.require`.
    """
    governance = require_governance(hub.engine)
    if not approved and governance.k > 1:
        act.write(proposal, replace_file=False)
        target.out.done(
            WAITS,
            {"proposal": str(proposal), "signatures": 1, "needed": governance.k},
        )
        target.out.note(NEXT, proposal=str(proposal), again=again)
        return None
    return act.require(governance, origin=hub.settings.origin, act=kind, expected=expected, now=hub.clock())
