"""`history`: what this agency lost and asks for, what others lost and ask of it."""

from __future__ import annotations

import click

from exchange.agency.cli.session import open_client
from exchange.agency.history import Asked
from exchange.agency.wording import state_words
from exchange.member.cli.ids import IdCommand
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import print_json, print_table, say, say_count


@click.group()
@common_options
def history(options: Options) -> None:
    """After a loss of the store or of keys: get back what was sent, and give back what others lost."""


@history.command("lost")
@common_options
def lost(options: Options) -> None:
    """List what others sent to this agency and what is not on this machine."""
    with open_client(options) as client:
        rows = client.history.lost()
    if options.json:
        print_json(rows)
        return
    shown = (
        (
            one.eid,
            one.sender,
            one.kind,
            f"{one.issued:%Y-%m-%d}",
            f"{one.asked:%Y-%m-%d}" if one.asked else "",
        )
        for one in rows
    )
    print_table("lost", ("envelope", "from", "kind", "sent", "asked"), shown)


@history.command("restore")
@common_options
@click.option("--again", is_flag=True, help="Ask anew for what was asked for before.")
def restore(options: Options, again: bool) -> None:
    """Open again what the keys of this machine open, and ask the senders for the rest.

    Call them as well: they answer only when they know that it was you who asked.

    \b
    Example:
      exchange-agency history restore
    """
    with open_client(options) as client:
        done = client.history.restore(again=again)
    if options.json:
        print_json(done)
        return
    say_count("opened {count} message again", "opened {count} messages again", done.opened)
    for text in done.left:
        say(text)
    for sent in done.asked:
        say("asked {agency} (envelope {eid})", agency=sent.grants[0].recipient, eid=sent.eid)


@history.command("requests")
@common_options
@click.option("--all", "everything", is_flag=True, help="Also those that were answered.")
def requests(options: Options, everything: bool) -> None:
    """List the requests of agencies that lost what this one sent."""
    with open_client(options) as client:
        rows = list(client.history.requests(open_only=not everything))
    if options.json:
        print_json(rows)
        return
    shown = (
        (
            one.gid,
            one.agency,
            f"{one.since:%Y-%m-%d}",
            str(len(one.envelopes)),
            state_words(one.state),
            str(one.granted),
        )
        for one in rows
    )
    print_table("requests", ("request", "of", "since", "envelopes", "state", "granted"), shown)


@history.command("answer", cls=IdCommand)
@common_options
@click.argument("gid")
@click.option("--decline", is_flag=True, help="Grant nothing, and say so.")
def answer(options: Options, gid: str, decline: bool) -> None:
    """Give again what the request GID asks for, as far as the consents still allow it.

    Call that agency first: a thief who has its keys could ask as well.

    \b
    Example:
      exchange-agency history answer 9sJxD0xZ3kQe7mPq2LwT4A
    """
    with open_client(options) as client:
        done = client.history.decline(gid) if decline else client.history.answer(gid)
    if options.json:
        print_json(done)
        return
    _say_answer(done)


def _say_answer(done: Asked) -> None:
    say(
        "{agency}: {state}, {granted} of {count} given again",
        agency=done.agency,
        state=state_words(done.state),
        granted=done.granted,
        count=len(done.envelopes),
    )
    for text in done.left:
        say(text)
