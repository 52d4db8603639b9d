"""`consent`: what one recipient may have about one child, for what, until when; signed by an approver."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import click

from exchange.agency.cli.session import open_client, open_second
from exchange.agency.cli.terms import terms_options
from exchange.agency.model import Checked, ConsentInfo
from exchange.agency.terms import Terms
from exchange.agency.wording import state_words
from exchange.member.cli import exits
from exchange.member.cli.ids import IdCommand
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import print_json, print_table, say
from exchange.words import gettext, marked, pgettext, reason
from exchange_keys.durable import durable_file
from exchange_schemas.catalogue import load_catalogue

_CATALOGUE = load_catalogue()
_PATH = click.Path(path_type=Path)


@click.group()
@common_options
def consent(options: Options) -> None:
    """Grant, list, show and withdraw consents. Each is for one recipient and one child."""


@consent.command("grant", cls=IdCommand)
@common_options
@click.argument("ref")
@click.option("--to", multiple=True, required=True, metavar="AGENCY", help="Recipient; a consent for each.")
@terms_options
@click.option("--second-user", help="The second approver, whom vital interest needs.")
@click.option("--second-passphrase-file", type=_PATH, help="Read the second approver's passphrase from it.")
@click.option("--second-passphrase-fd", type=int, help="Read it from this file descriptor.")
def grant(
    options: Options,
    *,
    ref: str,
    to: tuple[str, ...],
    terms: Terms,
    second_user: str | None,
    second_passphrase_file: Path | None,
    second_passphrase_fd: int | None,
) -> None:
    """Grant a consent for the record REF to every agency named with --to, and register it at the hub.

    It never lasts past the child's 18th birthday as far as that is known. Needs an approver.

    \b
    Example:
      exchange-agency --user amal consent grant 7Hq2 --to embassy-a --purpose trace --kind found_notice \\
          --basis best_interests_decision --evidence "file 12, minutes of 3 May" --screening cleared \\
          --screening-evidence "file 12, screening form" --days 60
    """
    with open_client(options) as client:
        second = None
        if second_user is not None:
            second = open_second(client, second_user, second_passphrase_file, second_passphrase_fd)
        granted = [client.consents.grant(ref, to=one, terms=terms, second=second) for one in to]
    if options.json:
        print_json(granted)
        return
    for one in granted:
        say(
            "consent {cid} to {agency} until {day}: {fields}",
            cid=one.cid,
            agency=one.recipient,
            day=f"{one.expires:%Y-%m-%d}",
            fields=", ".join(one.fields),
        )
    if terms.kind is not None:
        _say_lacking(terms.kind, granted[0].fields)


@consent.command("list")
@common_options
@click.option("--record", "ref", metavar="REF", help="Only those for this record.")
@click.option("--received", is_flag=True, help="Those that other agencies granted to this one.")
def list_(options: Options, ref: str | None, received: bool) -> None:
    """List consents, granted by this agency unless --received."""
    with open_client(options) as client:
        found = list(client.consents.received() if received else client.consents.each(record=ref))
    if options.json:
        print_json(found)
        return
    columns = ("consent", "from", "to", "for", "until", "status", "record")
    print_table("consents", columns, [_row(one) for one in found])


@consent.command("show", cls=IdCommand)
@common_options
@click.argument("cid")
def show(options: Options, cid: str) -> None:
    """Show the consent CID (or the beginning of its id)."""
    with open_client(options) as client:
        one = client.consents.get(cid)
    if options.json:
        print_json(one)
        return
    print_table(
        "consent {cid}",
        ("", ""),
        [
            (pgettext("column", "from"), one.issuer),
            (pgettext("column", "to"), one.recipient),
            (pgettext("column", "status"), _status(one)),
            (pgettext("column", "family"), one.family),
            (pgettext("column", "purposes"), ", ".join(one.purposes)),
            (pgettext("column", "fields"), ", ".join(one.fields)),
            (pgettext("column", "from day"), f"{one.not_before:%Y-%m-%d}"),
            (pgettext("column", "until"), f"{one.expires:%Y-%m-%d}"),
            (pgettext("column", "record"), one.record if one.record is not None else gettext("not ours")),
        ],
        cid=one.cid,
    )


@consent.command("attest")
@common_options
@click.argument("agency")
@click.option("--evidence", help="Where the evidence lies; stays here.")
@click.option("--lift", is_flag=True, help="Take the attestation back.")
def attest(options: Options, agency: str, evidence: str | None, lift: bool) -> None:
    """Attest that AGENCY, or this agency itself, arranges the release of detained parents and children.

    Only then may care in detention be told before the relation is verified; both sides attest. It stays on
    this machine. Needs an approver.

    \b
    Example:
      exchange-agency --user amal consent attest court-a --evidence "mandate of 3 May, file 12"
    """
    if (evidence is None) is not lift:
        raise click.UsageError("give --evidence, or --lift")
    with open_client(options) as client:
        client.attest(agency, evidence=evidence)
    if options.json:
        print_json({"agency": agency, "arranges_release": not lift})
        return
    said = (
        marked("{agency} is no longer attested as an authority that arranges release")
        if lift
        else marked("{agency} is attested as an authority that arranges release")
    )
    say(said, agency=agency)


@consent.command("check", cls=IdCommand)
@common_options
@click.argument("ref")
@click.option("--to", multiple=True, required=True, metavar="AGENCY", help="Recipient; may be repeated.")
@click.option("--kind", type=click.Choice(tuple(_CATALOGUE.kinds)), required=True, help="Kind of message.")
@click.option("--purpose", type=click.Choice(_CATALOGUE.purposes))
@click.option("--field", "fields", multiple=True, metavar="NAME", help="Ask about these fields only.")
@click.option("--consent", "cids", multiple=True, metavar="CID", help="Under this consent.")
@click.option("--thread", help="In this thread.")
@click.option("--at-hub", is_flag=True, help="Let the hub decide by what it knows.")
def check(
    options: Options,
    *,
    ref: str,
    to: tuple[str, ...],
    kind: str,
    purpose: str | None,
    fields: tuple[str, ...],
    cids: tuple[str, ...],
    thread: str | None,
    at_hub: bool,
) -> int:
    """Dry run: what would these agencies receive of the record REF now, and why not the rest?

    Nothing is sent. Exit code 2 when a message would be refused as it stands.

    \b
    Example:
      exchange-agency consent check 7Hq2 --to embassy-a --kind found_notice
    """
    with open_client(options) as client:
        found = client.check(
            kind,
            to=to,
            record=ref,
            fields=fields or None,
            purpose=purpose,
            consents=cids,
            thread=thread,
            at_hub=at_hub,
        )
    if options.json:
        print_json(found)
    else:
        for one in found:
            _say_checked(one)
    return exits.REFUSED if any(one.refused is not None for one in found) else exits.DONE


@consent.command("withdraw", cls=IdCommand)
@common_options
@click.argument("cids", nargs=-1)
@click.option("--record", "ref", metavar="REF", help="All consents for this record.")
@click.option(
    "--reason",
    type=click.Choice(_CATALOGUE.codes["reason_code"]),
    default="consent_withdrawn",
    show_default=True,
)
def withdraw(options: Options, cids: tuple[str, ...], ref: str | None, reason: str) -> None:
    """Withdraw consents (a best-interests decision is revoked the same way); effective at once.

    What was not fetched yet is deleted at the hub; what was fetched is out of our hands, and its recipients
    are asked to delete it. Needs an approver.

    \b
    Example:
      exchange-agency --user amal consent withdraw 3Vb9 --reason consent_withdrawn
    """
    if not cids and ref is None:
        raise click.UsageError("name consents, or a record with --record")
    with open_client(options) as client:
        named = [client.consents.get(cid) for cid in cids]
        whole = (
            [] if ref is None else [one for one in client.consents.each(record=ref) if one.status == "active"]
        )
        done = client.withdraw(*(one.cid for one in [*named, *whole]), reason=reason)
    if options.json:
        print_json(done)
        return
    for one in done:
        say(
            "withdrawn; not fetched yet and deleted: {undelivered}; fetched before: {delivered}",
            undelivered=one.undelivered,
            delivered=one.delivered,
        )
    if any(one.delivered for one in done):
        say("their recipients are asked to delete: `exchange-agency deletion list` shows who has answered")
    if not done:
        say("nothing to withdraw: no consent for this record is active")


@consent.command("withdrawal", cls=IdCommand)
@common_options
@click.argument("cid")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def withdrawal(options: Options, cid: str, file: Path) -> None:
    """Write the signed withdrawal of consent CID to FILE, for the hub's operators to carry out.

    Only when the hub does not let this agency in: `consent withdraw` has signed the withdrawal and could not
    send it. An operator runs `exchange-hub consent withdraw FILE`.

    \b
    Example:
      exchange-agency consent withdrawal 3Vb9 withdrawal.json
    """
    with open_client(options) as client:
        data = client.consents.signed_withdrawal(cid)
    with durable_file(file, replace=False) as out:
        out.write(data + b"\n")
    if options.json:
        print_json({"file": str(file)})
    else:
        say("wrote {file}: give it to an operator of the hub", file=file)


@consent.command("evidence", cls=IdCommand)
@common_options
@click.argument("cid")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--subject", is_flag=True, help="Also open which record it is about.")
def evidence(options: Options, cid: str, file: Path, subject: bool) -> None:
    """Write the evidence behind consent CID to FILE, for an auditor who is entitled to it. Needs an approver.

    FILE holds the texts as they were entered, readable: hand it over as you would a case file. The auditor
    checks it with `exchange-audit evidence FILE`.

    \b
    Example:
      exchange-agency --user amal consent evidence 3Vb9 3Vb9.evidence
    """
    with open_client(options) as client:
        data = client.consents.evidence(cid, with_subject=subject)
    with durable_file(file, replace=False) as out:
        out.write(data + b"\n")
    if options.json:
        print_json({"file": str(file)})
    else:
        say("wrote {file}: it can be read by whoever has it", file=file)


def _say_lacking(kind: str, fields: Collection[str]) -> None:
    """What the kind needs and the record does not have: without it nothing of this kind can be sent."""
    given = {*fields, *_CATALOGUE.message_fields}
    for need in _CATALOGUE.kind(kind).needs:
        if not any(given.issuperset(group) for group in need):
            say(
                "{kind} cannot be sent yet, it also needs {fields}: "
                "enter it (`exchange-agency record edit`), then grant again",
                kind=kind,
                fields=" / ".join(" + ".join(group) for group in need),
            )


def _say_checked(one: Checked) -> None:
    fields = ", ".join(one.given) or gettext("nothing")
    say("{agency} would receive: {fields}", agency=one.recipient, fields=fields)
    rows = [
        (item.field or "", reason(item.reason, item.field), gettext(item.remedy), item.rule)
        for item in one.withheld
    ]
    if rows:
        print_table("not given", ("field", "why", "what would make it lawful", "rule"), rows)
    if one.refused is not None:
        rule = f" [{one.refused.rule}]" if one.refused.rule else ""
        why = reason(one.refused.reason, one.refused.field)
        say("as it stands it would be refused: {why}{rule}", why=why, rule=rule)
        if one.refused.remedy:
            say("hint: {hint}", hint=gettext(one.refused.remedy))


def _row(one: ConsentInfo) -> tuple[str, ...]:
    until = f"{one.expires:%Y-%m-%d %H:%M}" if one.vital_interest else f"{one.expires:%Y-%m-%d}"
    return one.cid, one.issuer, one.recipient, ", ".join(one.purposes), until, _status(one), one.record or ""


def _status(one: ConsentInfo) -> str:
    said = state_words(one.status)
    return f"{said}, {gettext('VITAL INTEREST')}" if one.vital_interest else said
