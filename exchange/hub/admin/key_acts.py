"""Who signed for the change of one of the hub's own keys: at the keyboard, or on a file that went round."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from exchange.hub.admin.acting import begun, signers
from exchange.hub.admin.commands import Target
from exchange.hub.admin.hub_act import FINISH, HUB_KEY, HubKeyAct, read_act
from exchange.hub.admin.operator_key import KeySource
from exchange.hub.services.hub import Hub


@dataclass(frozen=True, slots=True)
class Papers:
    """`proposal`: where to write an act that others must sign; `approved`: the file that they signed."""

    proposal: Path | None = None
    approved: Path | None = None


def key_signers(
    target: Target, hub: Hub, source: KeySource | None, asked: HubKeyAct, papers: Papers
) -> list[str] | None:
    """The names of the operators who signed this very change; None when it was handed on to others.

    Raises: Malformed (neither a key nor a file), NotPermitted (no operator's key), Conflict (another change,
    or one that is done already), SenderMismatch (too few), KidUnknown, SigInvalid.
    """
    act = begun(hub, asked, source) if papers.approved is None else read_act(papers.approved)
    path = Path(f"{asked.kind}-key.proposal.json") if papers.proposal is None else papers.proposal
    last = " --finish" if asked.move == FINISH else ""
    return signers(
        target,
        hub,
        act,
        kind=HUB_KEY,
        expected=asked.members(),
        proposal=path,
        approved=papers.approved is not None,
        again=f"exchange-hub keys rotate {asked.kind} --approved {path}{last}",
    )
