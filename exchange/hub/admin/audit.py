"""`exchange-hub audit`: what is done about the audit log behind the requests, and by the operators alone."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from exchange.hub.admin.acting import act_options, begun, signers
from exchange.hub.admin.commands import Target, examples, hub_command, language_option
from exchange.hub.admin.hub_act import ACCREDIT, ERASE, AccreditAct, EraseAct, read_act
from exchange.hub.admin.opened import opened_hub
from exchange.hub.admin.operator_key import KeySource, optional_key_options
from exchange.hub.admin.works import holder_name
from exchange.hub.services.accreditation import accredit as accredit_auditor
from exchange.hub.services.audit_disclosures import forget
from exchange.hub.services.operators import opr_of
from exchange.hub.services.slices import append_heads, index_some
from exchange.hub.services.upkeep import Upkeep
from exchange.words import marked
from exchange_schemas.codec import JsonValue
from exchange_schemas.ids import check_agency, check_id


@click.group(name="audit", short_help="The audit log: witnesses, files, slices, auditors, erasure.")
@language_option
def group() -> None:
    """Have the audit log witnessed and written out, check it, say what auditors may read, forget."""


@group.command(
    epilog=examples("exchange-hub audit slices --once", "exchange-hub audit slices --data-dir /srv/hub"),
    short_help="Keep each agency's slice of the audit log.",
)
@hub_command
@click.option("--once", is_flag=True, help="Bring the slices up to date, write the heads, and end.")
def slices(target: Target, *, once: bool) -> None:
    """Put each entry into the slice of its parties, and write heads over all slices once a minute.

    `serve` does it by itself; this is for a hub whose workers are started in another way. Several may run:
    one of them has the turn. It may be killed at any time and goes on where it was.
    """
    with opened_hub(target) as hub:
        if not once:
            target.out.note("keeping the slices until it is told to stop (SIGTERM or Ctrl-C)")
            stop = threading.Event()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stop.set())
            Upkeep(hub, holder_name()).run(stop.wait)
            return
        taken = 0
        while some := index_some(hub):
            taken += some
        released = append_heads(hub)
    receipt = None if released is None else released.receipt
    entry = None if receipt is None else receipt.entry_id
    said = (
        marked("entries put into their slices: {entries}; nothing was new for the heads")
        if entry is None
        else marked("entries put into their slices: {entries}; the new heads are entry {heads}")
    )
    target.out.done(said, {"entries": taken, "heads": entry})


@group.command(
    epilog=examples(
        "exchange-hub audit erase --consent QuiToaYTHPEid8_3n8l5lA --operator-key asha.key",
        "exchange-hub audit erase --approved erase.proposal.json",
    ),
    short_help="Forget what the log's commitments stand for.",
)
@hub_command
@click.option("--consent", metavar="FAMILY", help="The family of the consent, as `consent show` names it.")
@click.option("--envelope", metavar="EID", help="The id of the envelope.")
@act_options
@optional_key_options
def erase(
    target: Target,
    *,
    consent: str | None,
    envelope: str | None,
    proposal: Path | None,
    approved: Path | None,
    source: KeySource | None,
) -> None:
    """Forget salt and value behind the log's commitments to a consent family or an envelope.

    The log itself keeps every entry and verifies as before; nobody can tell any more which consent or
    envelope they were about. Auditors' copies forget it at their next pull. It cannot be undone, and backups
    keep it until they are gone. Where several operators must sign, the act goes round as a file.
    """
    if [consent, envelope, approved].count(None) != 2:
        raise click.UsageError("name a consent, an envelope, or the act that operators have signed")
    with opened_hub(target) as hub:
        if approved is not None:
            act = read_act(approved)
        else:
            scope, ref = ("cns", consent) if consent is not None else ("rec", envelope)
            now = hub.clock().replace(microsecond=0)
            act = begun(hub, EraseAct(hub.settings.origin, scope, check_id(ref, field="id"), now), source)
        wanted = act.erasure()
        path = Path("erase.proposal.json") if proposal is None else proposal
        names = signers(
            target,
            hub,
            act,
            kind=ERASE,
            expected=wanted.members(),
            proposal=path,
            approved=approved is not None,
            again=f"exchange-hub audit erase --approved {path}",
        )
        if names is None:
            return
        released = forget(hub, opr_of(names), "cns" if wanted.scope == "cns" else "rec", wanted.ref)
    entry = None if released.receipt is None else released.receipt.entry_id
    target.out.done(
        "forgotten; the log verifies as before",
        {"commitment": released.body["commitment"], "entry": entry, "signed_by": list(names)},
    )


@group.command(
    epilog=examples(
        "exchange-hub audit accredit press-audit --agency ngo-a --agency ngo-b --operator-key asha.key",
        "exchange-hub audit accredit open-audit --all --operator-key asha.key",
    ),
    short_help="Say whose entries an auditor may read.",
)
@hub_command
@click.argument("auditor", required=False)
@click.option("--all", "everything", is_flag=True, help="The entries about all agencies.")
@click.option(
    "--agency", "about", multiple=True, metavar="AGENCY", help="Those about AGENCY; may be repeated."
)
@act_options
@optional_key_options
def accredit(
    target: Target,
    *,
    auditor: str | None,
    everything: bool,
    about: tuple[str, ...],
    proposal: Path | None,
    approved: Path | None,
    source: KeySource | None,
) -> None:
    """Let AUDITOR read the log's entries about all agencies, or about some of them only.

    An auditor that nothing was said about reads all: limit it before you admit it. The agencies that an
    auditor is limited to see this act in their own slices of the log. It holds from the next read on.
    """
    if approved is None and (auditor is None or everything is bool(about)):
        raise click.UsageError("name an auditor, and --all or at least one --agency")
    named = tuple(sorted({check_agency(one, field="agency") for one in about}))
    with opened_hub(target) as hub:
        if approved is not None:
            act = read_act(approved)
        else:
            who, now = check_agency(auditor, field="auditor"), hub.clock().replace(microsecond=0)
            statement = AccreditAct(hub.settings.origin, who, None if everything else named, now)
            act = begun(hub, statement, source)
        wanted = act.accreditation()
        path = Path(f"accredit-{wanted.auditor}.proposal.json") if proposal is None else proposal
        names = signers(
            target,
            hub,
            act,
            kind=ACCREDIT,
            expected=wanted.members(),
            proposal=path,
            approved=approved is not None,
            again=f"exchange-hub audit accredit --approved {path}",
        )
        if names is None:
            return
        released = accredit_auditor(hub, opr_of(names), wanted.auditor, wanted.about, wanted.iat)
    entry = None if released.receipt is None else released.receipt.entry_id
    facts: dict[str, JsonValue] = {**wanted.members(), "entry": entry, "signed_by": list(names)}
    target.out.done(
        marked("{auditor} reads the entries about all agencies")
        if wanted.about is None
        else marked("{auditor} reads the entries about {about}"),
        facts,
    )
