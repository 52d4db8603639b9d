"""`bundle`: signed and sealed files on a stick, for offices without network and for those who carry them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from exchange.agency.bundles.file import read_cover
from exchange.agency.bundles.office import DAYS, Imported
from exchange.agency.cli.session import open_client
from exchange.agency.client import Client
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import alarm, print_json, say, say_count
from exchange_schemas.bundle import Cover
from exchange_schemas.ids import check_agency

_PATH = click.Path(path_type=Path)


@click.group()
@common_options
def bundle(options: Options) -> None:
    """Courier bundles: what an office without network sends and receives, on a stick.

    An office without network sets HOMEWARD_OFFLINE=1 and works as everybody else: what it sends waits, and
    `bundle export` takes it. A courier with network carries the file to the hub unread and brings one back.
    """


@bundle.command("export")
@common_options
@click.argument("file", type=_PATH)
@click.option("--to", metavar="AGENCY", help="Without network: who carries it; your own agency or a partner.")
@click.option("--for", "office", metavar="AGENCY", help="With network: the office that it goes back to.")
@click.option(
    "--days", type=click.IntRange(1, 31), default=DAYS, show_default=True, help="How long it counts."
)
def export(options: Options, *, file: Path, to: str | None, office: str | None, days: int) -> None:
    """Write a bundle to FILE, which must not be there yet.

    \b
    Examples:
      HOMEWARD_OFFLINE=1 exchange-agency bundle export --to ngo-b /media/stick/out.bundle
      exchange-agency bundle export --for ngo-a /media/stick/back.bundle
    """
    if (to is None) is (office is None):
        raise click.UsageError("say --to (an office without network) or --for (a courier)")
    lasts = timedelta(days=days)
    with open_client(options) as client:
        if to is not None:
            made = client.office.export(file, to=check_agency(to, field="to"), lasts=lasts)
            cover, requests, dropped = made.cover, made.requests, made.dropped
        else:
            cover, requests, dropped = client.courier.bring(file, office=str(office), lasts=lasts), 0, ()
    if options.json:
        print_json({"cover": cover, "requests": requests, "dropped": dropped})
        return
    for eid in dropped:
        alarm("the envelope {eid} was taken out: its consent was withdrawn while it waited", eid=eid)
    say("wrote {file} for {agency}; it counts until {day}", file=file.name, agency=cover.to, day=_day(cover))
    if to is not None:
        say_count("it holds {count} request", "it holds {count} requests", requests)
    else:
        say("it holds answers, and what waits for the office")


@bundle.command("import")
@common_options
@click.argument("file", type=_PATH)
def import_(options: Options, file: Path) -> None:
    """Read a bundle: a courier submits it to the hub, an office takes in what came back.

    The same file again changes nothing, and goes on where an import was cut short.

    \b
    Example:
      exchange-agency bundle import /media/stick/out.bundle
    """
    with open_client(options) as client:
        if client.session.carried is None:
            _carry(options, client, file)
        else:
            _take(options, client.office.take(file))


@bundle.command("show")
@common_options
@click.argument("file", type=_PATH)
def show(options: Options, file: Path) -> None:
    """Show what a bundle says about itself; nothing of it is verified or opened."""
    cover = read_cover(file)
    if options.json:
        print_json(cover)
        return
    say(
        "bundle {id} ({way}), number {number}, from {maker} to {reader}",
        id=cover.id,
        way=cover.way,
        number=cover.seq,
        maker=cover.iss,
        reader=cover.to,
    )
    say(
        "made {made}, counts until {end}, {size} bytes",
        made=f"{cover.iat:%Y-%m-%d %H:%M} UTC",
        end=f"{cover.exp:%Y-%m-%d %H:%M} UTC",
        size=cover.size,
    )


def _carry(options: Options, client: Client, file: Path) -> None:
    done = client.courier.carry(file)
    if options.json:
        print_json(done)
        return
    if done.again:
        say("this bundle was carried before")
    say(
        "carried for {agency}: the hub took {taken}, refused {refused}",
        agency=done.cover.iss,
        taken=done.taken,
        refused=done.refused,
    )
    say(
        "now bring back what waits: `exchange-agency bundle export --for {agency} FILE`",
        agency=done.cover.iss,
    )


def _take(options: Options, done: Imported) -> None:
    if options.json:
        print_json(done)
        return
    if done.again:
        say("this bundle was imported before; nothing was done")
        return
    for text in done.alarms:
        alarm(text)
    say(
        "envelopes that arrived: {sent}; messages that wait: {waiting} (`exchange-agency inbox`)",
        sent=done.sent,
        waiting=len(done.waiting),
    )


def _day(cover: Cover) -> str:
    return f"{cover.exp:%Y-%m-%d}"
