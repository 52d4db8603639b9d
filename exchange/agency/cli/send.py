"""`send` seals and deposits one envelope; `spool` shows what has not arrived yet."""

from __future__ import annotations

import click

from exchange.agency.cli.session import open_client
from exchange.agency.cli.values import days, end_of, pairs
from exchange.agency.model import Sent
from exchange.member.cli.ids import IdCommand
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import print_json, print_table, say
from exchange.member.cli.progress import transfer_bar
from exchange.words import gettext
from exchange_schemas.catalogue import load_catalogue

_CATALOGUE = load_catalogue()


@click.command(cls=IdCommand)
@common_options
@click.argument("ref", required=False)
@click.option("--kind", type=click.Choice(tuple(_CATALOGUE.kinds)), help="What kind of message.")
@click.option("--to", multiple=True, metavar="AGENCY", help="Recipient; may be repeated.")
@click.option(
    "--field", "fields", multiple=True, metavar="NAME", help="Exactly these fields instead of all that fit."
)
@click.option("--purpose", type=click.Choice(_CATALOGUE.purposes))
@click.option(
    "--consent", "consents", multiple=True, metavar="CID", help="Use this consent for its recipient."
)
@click.option(
    "--message", "content", multiple=True, metavar="NAME=VALUE", help="A message field of the kind."
)
@click.option("--reply-to", metavar="GID", help="Answers this opened message, in its thread.")
@click.option("--thread", help="Continue this thread.")
@click.option("--reply-by", metavar="DATE", help="YYYY-MM-DD.")
@click.option("--days", "lasts", type=click.IntRange(1, 365), help="How long it may be fetched.")
@click.option("--resume", is_flag=True, help="Send what is spooled and nothing new.")
def send(
    options: Options,
    *,
    ref: str | None,
    kind: str | None,
    to: tuple[str, ...],
    fields: tuple[str, ...],
    purpose: str | None,
    consents: tuple[str, ...],
    content: tuple[str, ...],
    reply_to: str | None,
    thread: str | None,
    reply_by: str | None,
    lasts: int | None,
    resume: bool,
) -> None:
    """Send the record REF, or a message without one, sealed to each recipient.

    Every recipient gets only what its own consent allows. If the hub cannot be reached the sealed bytes
    stay in the spool: repeat with --resume, it never arrives twice.

    \b
    Examples:
      exchange-agency send 7Hq2 --kind found_notice --to embassy-a --to ngo-b
      exchange-agency send --kind information_request --to ngo-b --message asked_fields=birth_date
      exchange-agency send --resume
    """
    if not resume and (kind is None or not to):
        raise click.UsageError("--kind and --to are needed (or --resume)")
    with open_client(options) as client, transfer_bar() as on_bytes:
        client.on_bytes = on_bytes
        if resume or kind is None:
            sent = client.resume()
        else:
            one = client.send(
                kind,
                to=to,
                record=ref,
                fields=fields or None,
                purpose=purpose,
                consents=consents,
                content=pairs(content, "--message"),
                in_reply_to=reply_to,
                thread=thread,
                reply_by=end_of(reply_by, "--reply-by"),
                lasts=days(lasts),
            )
            sent = [one]
    _say_sent(options, sent, resume)


@click.command()
@common_options
def spool(options: Options) -> None:
    """Show envelopes that were sealed and are not known to have arrived."""
    with open_client(options) as client:
        jobs = client.spooled()
    if options.json:
        print_json(jobs)
        return
    rows = [
        (
            one.job,
            one.kind,
            ", ".join(one.recipients),
            f"{one.sealed_at:%Y-%m-%d %H:%M}",
            one.last_error or "",
        )
        for one in jobs
    ]
    print_table("spool", ("job", "kind", "to", "sealed", "last error"), rows)


def _say_sent(options: Options, sent: list[Sent], resumed: bool) -> None:
    if options.json:
        print_json(sent if resumed else sent[0])
        return
    for one in sent:
        for grant in one.grants:
            say(
                "sent {kind} to {agency} as {gid}: {fields}",
                kind=one.kind,
                agency=grant.recipient,
                gid=grant.gid,
                fields=", ".join(grant.fields) or gettext("no fields"),
            )
        say("envelope {eid}; receipt {receipt}", eid=one.eid, receipt=one.receipt)
    if not sent:
        say("the spool is empty")
