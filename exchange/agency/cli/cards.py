"""Records and messages as cards: labels from the catalogue, one line a field, foreign scripts isolated."""

from __future__ import annotations

from collections.abc import Mapping

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from exchange.agency.model import Message, Record
from exchange.agency.records import RecordDetail
from exchange.agency.release import Sendable
from exchange.agency.wording import in_words
from exchange.member.cli.output import console, isolated, plain
from exchange_schemas.catalogue import Catalogue, load_catalogue
from exchange_schemas.codec import JsonValue

_STYLES = {1: "bold", 2: "", 3: "yellow"}


def summary_row(record: Record, found: Sendable) -> tuple[str, ...]:
    """One line of a list: reference, name, sex, birth or age, what it may be sent for."""
    fields = record.fields
    # The table isolates every cell: a name isolated before would lose its joints to spaces.
    name = " ".join(_name_text(fields[part]) for part in ("name_given", "name_family") if part in fields)
    age = fields.get("birth_date", fields.get("age_range"))
    return (
        record.ref,
        name or "(no name)",
        in_words(fields.get("sex", "unknown")),
        "" if age is None else in_words(age),
        may_be_sent(found),
    )


def _name_text(value: JsonValue) -> str:
    return str(value.get("text", "")) if isinstance(value, dict) else str(value)


def may_be_sent(found: Sendable) -> str:
    """What a record may be sent for, or the rule that keeps it."""
    if found.rule is not None:
        return f"nothing: {found.reason} [{found.rule}]"
    everything = set(found.purposes) == set(load_catalogue().purposes)
    may = "any purpose" if everything else ", ".join(found.purposes)
    return f"{may} (18 or older: only on the person's own consent)" if found.own_consent_only else may


def print_record(record: Record, detail: RecordDetail) -> None:
    """The card of a local record."""
    table = _fields_table(record.fields)
    may = may_be_sent(detail.sendable)
    table.add_section()
    table.add_row("may be sent for", may)
    table.add_row("source", isolated(record.source))
    if detail.same_person:
        table.add_row("perhaps the same person", ", ".join(detail.same_person))
    for name, text in detail.to_transcribe:
        table.add_row(f"to transcribe: {isolated(name)}", Text(isolated(text)))
    for change in detail.history[-5:]:
        table.add_row(
            f"{change.when:%Y-%m-%d %H:%M} {change.user}", f"{change.what}: {', '.join(change.fields)}"
        )
    console().print(Panel(table, title=f"record {record.ref}", title_align="left", expand=False))


def print_message(message: Message) -> None:
    """The card of an opened message."""
    table = _fields_table({**message.fields, **message.content})
    if message.photo is not None:
        table.add_row("Photo", f"JPEG, {message.photo.bytes} bytes (--save-photo FILE)")
        table.add_row("Photo SHA-256", message.photo.sha256)
    table.add_section()
    for label, value in _routing(message):
        table.add_row(label, value)
    title = f"{load_catalogue().kind(message.kind).label} from {message.sender}"
    console().print(Panel(table, title=title, title_align="left", expand=False))


def message_json(message: Message) -> JsonValue:
    """A message for machines; the photo as its length and digest."""
    return plain(message)


def _fields_table(fields: Mapping[str, JsonValue]) -> Table:
    catalogue = load_catalogue()
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="cyan", overflow="fold", max_width=44)
    table.add_column(overflow="fold")
    for name in sorted(fields, key=lambda one: _order(catalogue, one)):
        if name == "photo":
            continue
        spec = catalogue.fields.get(name)
        message = catalogue.message_fields.get(name)
        label = spec.label if spec is not None else message.label if message is not None else name
        style = _STYLES[spec.sensitivity] if spec is not None else ""
        lines = in_words(fields[name]).split("\n")
        table.add_row(label, Text("\n".join(lines), style=style))
    if "photo" in fields:
        table.add_row(catalogue.field("photo").label, Text(in_words(fields["photo"])))
    return table


def _order(catalogue: Catalogue, name: str) -> int:
    spec = catalogue.fields.get(name)
    return 1000 if spec is None else spec.number


def _routing(message: Message) -> list[tuple[str, str]]:
    rows = [
        ("sent", f"{message.issued:%Y-%m-%d %H:%M} UTC"),
        ("for", message.purpose),
        ("thread", message.thread or "none"),
        ("grant", f"{message.gid} (number {message.seq} from this sender)"),
    ]
    if message.keep_until is not None:
        rows.append(("keep until", f"{message.keep_until:%Y-%m-%d}"))
    return rows
