"""`request`: ask for fields, see what waits for an answer on both sides, answer field by field, remind."""

from __future__ import annotations

from datetime import datetime

import click

from exchange.agency.cli.session import open_client
from exchange.agency.cli.values import end_of
from exchange.agency.closures import Closed
from exchange.agency.model import Sent
from exchange.agency.requests import AnswerTimes, Request
from exchange.agency.wording import code_words, state_words
from exchange.member.cli.ids import IdCommand
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import print_json, print_table, say
from exchange.words import gettext, marked
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue

_CATALOGUE = load_catalogue()


@click.group()
@common_options
def request(options: Options) -> None:
    """Requests of this agency and of others: for information, services, responsibility, withdrawals."""


@request.command("ask")
@common_options
@click.option("--to", multiple=True, required=True, metavar="AGENCY", help="Whom to ask; may be repeated.")
@click.option("--field", "fields", multiple=True, required=True, metavar="NAME", help="A field to ask for.")
@click.option("--need", type=click.Choice(_CATALOGUE.codes["need_code"]), required=True, help="What for.")
@click.option("--reply-by", metavar="DATE", required=True, help="The last day for the answer, YYYY-MM-DD.")
@click.option("--reply-to", metavar="GID", help="About the child of this opened message.")
@click.option("--thread", help="In this thread.")
@click.option("--on-behalf-of", metavar="AGENCY", help="The agency that needs the answer.")
def ask(
    options: Options,
    *,
    to: tuple[str, ...],
    fields: tuple[str, ...],
    need: str,
    reply_by: str,
    reply_to: str | None,
    thread: str | None,
    on_behalf_of: str | None,
) -> None:
    """Ask agencies for fields of a child's record.

    \b
    Example:
      exchange-agency request ask --to ngo-b --field birth_date --field languages --need identify \\
          --reply-to 9sJxD0xZ3kQe7mPq2LwT4A --reply-by 2026-12-24
    """
    content: dict[str, JsonValue] = {"asked_fields": list(fields), "need_code": need}
    if on_behalf_of is not None:
        content["on_behalf_of"] = on_behalf_of
    with open_client(options) as client:
        sent = client.send(
            "information_request",
            to=to,
            content=content,
            in_reply_to=reply_to,
            thread=thread,
            reply_by=end_of(reply_by, "--reply-by"),
        )
    _say_sent(options, sent, marked("asked {agency} ({kind}, {gid})"))


@request.command("list")
@common_options
@click.option("--overdue", is_flag=True, help="Only those whose time is over without an answer.")
@click.option("--open", "open_only", is_flag=True, help="Only those without an answer.")
def list_(options: Options, overdue: bool, open_only: bool) -> None:
    """List requests of both sides: who was asked what, until when, and what came of it.

    \b
    Example:
      exchange-agency request list --overdue
    """
    with open_client(options) as client:
        found = list(client.requests.each(overdue=overdue, open_only=open_only))
        now = client.session.now()
    if options.json:
        print_json(found)
        return
    columns = ("request", "whose", "agency", "kind", "until", "state", "given", "refused", "silent")
    print_table("requests", columns, [_row(one, now) for one in found])


@request.command("answer", cls=IdCommand)
@common_options
@click.argument("gid")
@click.option("--record", "ref", metavar="REF", help="The child's record; the thread's own unless named.")
@click.option(
    "--refuse",
    multiple=True,
    metavar="FIELD=CODE",
    help=f"Keep a field back: {', '.join(_CATALOGUE.codes['refusal'])}.",
)
@click.option("--purpose", type=click.Choice(_CATALOGUE.purposes))
@click.option("--consent", "consents", multiple=True, metavar="CID", help="Under this consent.")
def answer(
    options: Options,
    *,
    gid: str,
    ref: str | None,
    refuse: tuple[str, ...],
    purpose: str | None,
    consents: tuple[str, ...],
) -> None:
    """Answer the information request GID field by field: what a consent allows is given, the rest refused.

    What no consent allows is refused as no_authority, whether the record has it or not; what the record
    lacks as not_held.

    \b
    Example:
      exchange-agency request answer 9sJxD0xZ3kQe7mPq2LwT4A --refuse current_area=safety
    """
    codes = dict(_pair(one) for one in refuse)
    with open_client(options) as client:
        sent = client.requests.answer(gid, record=ref, refuse=codes, purpose=purpose, consents=consents)
    _say_sent(options, sent, marked("answered {agency} ({kind}, {gid})"))


@request.command("remind", cls=IdCommand)
@common_options
@click.argument("gid")
@click.option("--reply-by", metavar="DATE", required=True, help="The new last day, YYYY-MM-DD.")
def remind(options: Options, gid: str, reply_by: str) -> None:
    """Ask again for the information request GID of this agency.

    \b
    Example:
      exchange-agency request remind 9sJxD0xZ3kQe7mPq2LwT4A --reply-by 2027-01-10
    """
    last = end_of(reply_by, "--reply-by")
    if last is None:
        raise click.UsageError("--reply-by is needed")
    with open_client(options) as client:
        sent = client.requests.remind(gid, reply_by=last)
    _say_sent(options, sent, marked("reminded {agency} ({kind}, {gid})"))


@request.command("closed")
@common_options
def closed(options: Options) -> None:
    """List closed cases: outcome, when the follow-up is due, by when their data must be gone."""
    with open_client(options) as client:
        found = client.requests.closed()
    if options.json:
        print_json(found)
        return
    columns = (
        "thread",
        "with",
        "record",
        "outcome",
        "closed",
        "follow-up",
        "made",
        "destroy by",
        "here",
    )
    print_table("closed cases", columns, [_closed_row(one) for one in found])


@request.command("followed-up", cls=IdCommand)
@common_options
@click.argument("thread")
def followed_up(options: Options, thread: str) -> None:
    """Say that the follow-up of the closed case THREAD was made.

    \b
    Example:
      exchange-agency request followed-up QuiToaYTHPEid8_3n8l5lA
    """
    with open_client(options) as client:
        one = client.requests.followed_up(thread)
    if options.json:
        print_json(one)
        return
    say("the follow-up of the case with {agency} is made", agency=one.partner)


@request.command("times")
@common_options
def times(options: Options) -> None:
    """How long answers take between pairs of agencies: numbers and hours, no child and no message."""
    with open_client(options) as client:
        found = client.requests.times()
    if options.json:
        print_json(found)
        return
    columns = ("asks", "answers", "kind", "requests", "answered", "overdue", "median h", "slowest h")
    print_table("answer times", columns, [_times_row(one) for one in found])


def _pair(text: str) -> tuple[str, str]:
    name, equals, code = text.partition("=")
    if not equals or code not in _CATALOGUE.codes["refusal"] or name not in _CATALOGUE.fields:
        raise click.BadParameter("FIELD=CODE is needed, with a known field and code", param_hint="--refuse")
    return name, code


def _say_sent(options: Options, sent: Sent, what: str) -> None:
    if options.json:
        print_json(sent)
        return
    for one in sent.grants:
        given = [name for name in one.fields if name in _CATALOGUE.fields]
        say(what, agency=one.recipient, kind=sent.kind, gid=one.gid)
        if given:
            say("given: {fields}", fields=", ".join(given))


def _row(one: Request, now: datetime) -> tuple[str, ...]:
    state = "overdue" if one.overdue(now) else "open" if one.answered is None else str(one.answer)
    return (
        one.gid,
        gettext("ours") if one.side == "asked" else gettext("theirs"),
        one.partner,
        one.kind,
        "" if one.due is None else f"{one.due:%Y-%m-%d}",
        state_words(state),
        ", ".join(one.given),
        ", ".join(f"{name} ({code})" for name, code in one.refused.items()),
        ", ".join(one.silent),
    )


def _times_row(one: AnswerTimes) -> tuple[str, ...]:
    hours = ["" if value is None else str(value) for value in (one.median_hours, one.slowest_hours)]
    return one.asks, one.answers, one.kind, str(one.requests), str(one.answered), str(one.overdue), *hours


def _closed_row(one: Closed) -> tuple[str, ...]:
    days = ["" if day is None else str(day) for day in (one.follow_up_due, one.followed_up, one.destroy_by)]
    here = gettext("yes") if one.here else gettext("no")
    return (
        one.thread,
        one.partner,
        one.record or "",
        code_words(one.outcome),
        f"{one.closed:%Y-%m-%d}",
        *days,
        here,
    )
