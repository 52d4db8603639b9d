"""`subject`: the subject report as a page and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import click

from exchange.agency.cli.session import open_client
from exchange.agency.client import Client
from exchange.agency.subject import gather
from exchange.agency.subject.model import SubjectReport
from exchange.agency.subject.page import page
from exchange.agency.wording import state_words
from exchange.member.cli.ids import IdCommand
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import plain, print_json, print_table, say
from exchange.member.files import write_private
from exchange_schemas.errors import Conflict


@click.command(cls=IdCommand)
@common_options
@click.argument("ref", required=False)
@click.option("--thread", help="One thread, for an agency that holds no record of the child.")
@click.option("--report", is_flag=True, help="Write the report as REF.html and REF.json.")
@click.option("--out", type=click.Path(path_type=Path), help="The page's file; the JSON lies beside it.")
@click.option("--values", is_flag=True, help="With the values that this agency holds, not the names alone.")
@click.option(
    "--ask-hub", is_flag=True, help="Fetch the newest signed receipts, and what was fetched, first."
)
def subject(
    options: Options,
    *,
    ref: str | None,
    thread: str | None,
    report: bool,
    out: Path | None,
    values: bool,
    ask_hub: bool,
) -> None:
    """Tell who received which fields of the record REF, when, for what and under which consent.

    Without --report a short table. The report is one page without script or network, for a caseworker, a
    lawyer or the person it is about, and the same as JSON with the log's entries and proofs. It names no
    value of the record unless --values is given, and never who the record is withheld from.

    \b
    Examples:
      exchange-agency subject 7Hq2
      exchange-agency subject 7Hq2 --report --ask-hub --out /encrypted/report.html
    """
    if (ref is None) is (thread is None):
        raise click.UsageError("name a record, or a thread with --thread")
    with open_client(options) as client:
        if ask_hub:
            for _ in client.outbox():
                pass
        found = _gather(client, ref, thread, values=values)
    if report or out is not None:
        written = _write(found, Path(f"subject-{found.subject}.html") if out is None else out)
        _say_written(options, written)
    elif options.json:
        print_json(found)
    else:
        rows = [
            (
                one.agency,
                str(one.messages),
                str(one.unfetched),
                ", ".join(one.fields),
                state_words(one.state),
                state_words(one.deletion),
            )
            for one in found.recipients
        ]
        columns = ("agency", "messages", "never fetched", "fields", "now", "deletion")
        print_table("received by", columns, rows)


def _gather(client: Client, ref: str | None, thread: str | None, *, values: bool) -> SubjectReport:
    if thread is not None:
        return gather.of_thread(client.session, thread)
    return gather.of_record(client.session, client.records, str(ref), values=values)


def _write(found: SubjectReport, path: Path) -> tuple[Path, Path]:
    """Both files, readable by their owner alone. Raises: Conflict when one is there, StorageFull."""
    beside = path.with_suffix(".json")
    for one in (path, beside):
        if one.exists() or path == beside:
            raise Conflict(f"{one.name} is there already: choose another name", field="out")
    write_private(path, "".join(page(found)).encode())
    write_private(beside, json.dumps(plain(found), ensure_ascii=False, indent=1).encode())
    return path, beside


def _say_written(options: Options, written: tuple[Path, Path]) -> None:
    if options.json:
        print_json({"page": str(written[0]), "data": str(written[1])})
        return
    say("wrote {page} and {data}", page=written[0].name, data=written[1].name)
    say("they are about one child and not sealed: keep them on an encrypted disk, destroy them after use")
