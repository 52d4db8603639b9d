"""`directory`: this agency's own verified copy of the key directory."""

from __future__ import annotations

import sys
import time

import click

from exchange.agency.cli.session import open_client
from exchange.agency.wording import code_words, state_words
from exchange.member.cli.exits import ALARM
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import alarm, print_json, print_json_line, print_table, say
from exchange.member.cli.session import open_unlocked
from exchange.member.watching import WatchReport, acknowledge, watch
from exchange.words import gettext
from exchange_schemas.codec import format_time
from exchange_schemas.errors import HubUnreachable


@click.group()
@common_options
def directory(options: Options) -> None:
    """The agencies and their keys, replayed from the operators' signed log."""


@directory.command("sync")
@common_options
def sync(options: Options) -> None:
    """Fetch and verify what is new: directory, consents, receipts.

    \b
    Example:
      exchange-agency --home ngo directory sync
    """
    with open_client(options) as client:
        report = client.sync()
    for text in report.alarms:
        alarm(text)
    if options.json:
        print_json(report)
        return
    say("directory: {size} events, {new} new", size=report.directory_size, new=report.new_events)
    say(
        "consents: {consents}; receipts fetched: {receipts}",
        consents=report.consents,
        receipts=report.receipts,
    )
    for text in report.due:
        say("due: {what}", what=text)


@directory.command("show")
@common_options
@click.argument("agency", required=False)
def show(options: Options, agency: str | None) -> None:
    """Show all agencies, or one with its keys.

    \b
    Example:
      exchange-agency --home ngo directory show embassy-a
    """
    with open_client(options) as client:
        agencies = client.agencies()
        keys = client.keys_of(agency) if agency is not None else []
    if options.json:
        shown = [one for one in agencies if agency in (None, one.agency)]
        print_json({"agencies": shown, "keys": keys} if agency is not None else shown)
        return
    if agency is None:
        rows = [
            (one.agency, one.name, code_words(one.kind), one.country, state_words(one.status))
            for one in agencies
        ]
        print_table("agencies", ("agency", "name", "kind", "country", "status"), rows)
        return
    print_table(
        "keys of {agency}",
        ("use", "alg", "kid", "status", "until"),
        [(key.use, key.alg, key.kid, state_words(key.status), key.expires) for key in keys],
        agency=agency,
    )


@directory.command("agreements")
@common_options
@click.option("--to", metavar="AGENCY", help="Only what may ever go from this agency to AGENCY.")
def agreements(options: Options, to: str | None) -> None:
    """Show what may ever go between kinds of agency, whatever a consent says; signed by the operators.

    \b
    Example:
      exchange-agency directory agreements --to embassy-a
    """
    with open_client(options) as client:
        version, rows = client.agreements(to=to)
    if options.json:
        print_json({"version": version, "agreements": rows})
        return
    if not version:
        say("the operators have signed no sharing agreements: consents alone decide")
        return
    shown = [tuple(", ".join(names) for names in (one.snd, one.rcp, one.pur, one.fields)) for one in rows]
    columns = ("from", "to", "for", "fields")
    print_table("sharing agreements, version {version}", columns, shown, version=version)


@directory.command("watch")
@common_options
@click.option("--every", type=click.IntRange(10, 86400), metavar="SECONDS", help="Look again and again.")
@click.option(
    "--acknowledge", "index", type=click.IntRange(0), metavar="INDEX", help="An approver has looked at it."
)
def watch_(options: Options, *, every: int | None, index: int | None) -> None:
    """Look whether anybody changed this agency's keys or shows it another directory.

    Exit code 0: nothing. 4: an event of this agency that was not made here, or something that does not
    verify, or no witness has seen the log for a day. 3: the hub cannot be reached. With --every it ends at
    the first alarm, and a hub that cannot be reached is tried again. An alarm stands until an approver says
    --acknowledge INDEX.

    \b
    Example:
      exchange-agency --home ngo directory watch --json
    """
    with open_unlocked(options) as session:
        if index is not None:
            acknowledge(session, index)
            say("the event {index} is acknowledged", index=index)
            return
        while True:
            try:
                report = watch(session)
            except HubUnreachable as error:
                if every is None:
                    raise
                say("the hub cannot be reached: {why}", why=error.message)
            else:
                _tell(report, as_json=options.json, line=every is not None)
                if report.alarming:
                    sys.exit(ALARM)
            if every is None:
                return
            time.sleep(every)


def _tell(report: WatchReport, *, as_json: bool, line: bool) -> None:
    for one in report.alarms:
        alarm(
            "event {index}, signed {when}: {what}",
            index=one.index,
            when=format_time(one.signed_at),
            what=gettext(one.text),
        )
    if report.failure is not None:
        alarm("{what} ({code})", what=report.detail, code=report.failure)
    if as_json:
        (print_json_line if line else print_json)(report)
    elif not report.alarming:
        say("directory: {size} events, {new} new", size=report.size, new=report.new_events)
        if report.witnessed is not None:
            say("witnessed: {when}", when=format_time(report.witnessed))
        say("nothing that was not made here")


@directory.command("verify")
@common_options
def verify(options: Options) -> None:
    """Verify every kept event again from the first one, and compare with the sealed state.

    \b
    Example:
      exchange-agency --home ngo directory verify
    """
    with open_unlocked(options) as session:
        size = session.directory.verify_all()
    if options.json:
        print_json({"size": size})
        return
    say("directory: {size} events verify from the first to the last", size=size)
