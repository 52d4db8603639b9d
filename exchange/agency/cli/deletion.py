"""`deletion`: who was asked to delete and has not answered; what others ask this agency to delete."""

from __future__ import annotations

import click

from exchange.agency.cli.session import open_client
from exchange.agency.cli.values import day
from exchange.agency.deletion_rows import AskedDeletion, OwedDeletion
from exchange.agency.deletions import Hold, outcome_words
from exchange.agency.wording import state_words
from exchange.member.cli.ids import IdCommand
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import print_json, print_table, say


@click.group()
@common_options
def deletion(options: Options) -> None:
    """After a withdrawal: ask recipients to delete, and answer such requests with a signed receipt."""


@deletion.command("list")
@common_options
@click.option("--unanswered", is_flag=True, help="Only what somebody still has to answer.")
def list_(options: Options, unanswered: bool) -> None:
    """List the deletions that this agency asked for and those that others asked of it.

    \b
    Example:
      exchange-agency deletion list --unanswered
    """
    with open_client(options) as client:
        asked = list(client.deletions.asked(unanswered=unanswered))
        owed = list(client.deletions.owed(open_only=unanswered))
    if options.json:
        print_json({"asked": asked, "owed": owed})
        return
    print_table("asked of others", ("consent", "of", "since", "state", "outcome"), map(_asked_row, asked))
    print_table("asked of this agency", ("request", "by", "since", "state", "outcome"), map(_owed_row, owed))


@deletion.command("ask", cls=IdCommand)
@common_options
@click.argument("cid")
def ask(options: Options, cid: str) -> None:
    """Ask the recipient of the withdrawn consent CID again to delete what it had opened.

    \b
    Example:
      exchange-agency deletion ask 3Vb9D0xZ3kQe7mPq2LwT4A
    """
    with open_client(options) as client:
        sent = client.deletions.ask(client.consents.get(cid).cid)
    if options.json:
        print_json(sent)
        return
    say("asked {agency} to delete (envelope {eid})", agency=sent.grants[0].recipient, eid=sent.eid)


@deletion.command("answer", cls=IdCommand)
@common_options
@click.argument("gid")
@click.option("--kept-by-law", "law", metavar="LAW", help="A law makes this agency keep it; name the law.")
@click.option("--until", metavar="DATE", help="The last day it is kept, YYYY-MM-DD; with --kept-by-law.")
@click.option("--partly", is_flag=True, help="Copies outside this program cannot be deleted.")
def answer(options: Options, gid: str, law: str | None, until: str | None, partly: bool) -> None:
    """Delete what the request GID is about from this machine, and send the signed receipt.

    What is kept by law stays locked and is deleted on its day by `directory sync`.

    \b
    Examples:
      exchange-agency deletion answer 9sJxD0xZ3kQe7mPq2LwT4A
      exchange-agency deletion answer 9sJxD0xZ3kQe7mPq2LwT4A --kept-by-law "Civil Code 12" --until 2028-01-31
    """
    last = day(until, "--until")
    if (law is None) is not (last is None) or (law is not None and partly):
        raise click.UsageError("--kept-by-law and --until come together, and not with --partly")
    keep = None if law is None or last is None else Hold(law, last)
    with open_client(options) as client:
        done = client.deletions.answer(gid, keep=keep, partly=partly)
    if options.json:
        print_json(done)
        return
    say("{outcome}; {agency} has the signed receipt", outcome=outcome_words(done.outcome), agency=done.issuer)


def _asked_row(row: AskedDeletion) -> tuple[str, ...]:
    return (
        row.consent,
        row.recipient,
        f"{row.since:%Y-%m-%d}",
        state_words(row.state),
        outcome_words(row.outcome),
    )


def _owed_row(row: OwedDeletion) -> tuple[str, ...]:
    return row.gid, row.issuer, f"{row.since:%Y-%m-%d}", state_words(row.state), outcome_words(row.outcome)
