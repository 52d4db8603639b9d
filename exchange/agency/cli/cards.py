"""Records and messages as cards: labels from the catalogue, one line a field, foreign scripts isolated."""

from __future__ import annotations

from collections.abc import Mapping

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from exchange.agency.model import Message, Record
from exchange.agency.records import RecordDetail
from exchange.agency.release import Sendable
from exchange.agency.wording import (
    code_words,
    field_label,
    field_words,
    kind_label,
    purpose_label,
    state_words,
)
from exchange.member.cli.output import console, isolated, plain
from exchange.words import gettext
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
        name or gettext("(no name)"),
        field_words("sex", fields.get("sex", "unknown")),
        "" if age is None else field_words("age_range", age),
        may_be_sent(found),
    )


def _name_text(value: JsonValue) -> str:
    return str(value.get("text", "")) if isinstance(value, dict) else str(value)


def may_be_sent(found: Sendable) -> str:
    """What a record may be sent for, or the rule that keeps it."""
    if found.rule is not None:
        return gettext("nothing: {why} [{rule}]", why=gettext(found.reason or ""), rule=found.rule)
    everything = set(found.purposes) == set(load_catalogue().purposes)
    may = gettext("any purpose") if everything else ", ".join(found.purposes)
    if not found.own_consent_only:
        return may
    return gettext("{purposes} (18 or older: only on the person's own consent)", purposes=may)


def print_record(record: Record, detail: RecordDetail) -> None:
    """The card of a local record."""
    table = _fields_table(record.fields)
    may = may_be_sent(detail.sendable)
    table.add_section()
    table.add_row(gettext("may be sent for"), may)
    table.add_row(gettext("source"), isolated(state_words(record.source)))
    if detail.same_person:
        table.add_row(gettext("perhaps the same person"), ", ".join(detail.same_person))
    for name, text in detail.to_transcribe:
        table.add_row(gettext("to transcribe: {what}", what=isolated(name)), Text(isolated(text)))
    for change in detail.history[-5:]:
        table.add_row(
            f"{change.when:%Y-%m-%d %H:%M} {change.user}",
            f"{code_words(change.what)}: {', '.join(change.fields)}",
        )
    console().print(
        Panel(table, title=gettext("record {ref}", ref=record.ref), title_align="left", expand=False)
    )


def print_message(message: Message) -> None:
    """The card of an opened message."""
    table = _fields_table({**message.fields, **message.content})
    if message.photo is not None:
        said = gettext("JPEG, {bytes} bytes (--save-photo FILE)", bytes=message.photo.bytes)
        table.add_row(gettext("Photo"), said)
        table.add_row(gettext("Photo SHA-256"), message.photo.sha256)
    table.add_section()
    for label, value in _routing(message):
        table.add_row(label, value)
    title = gettext("{kind} from {agency}", kind=kind_label(message.kind), agency=message.sender)
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
        style = _STYLES[spec.sensitivity] if spec is not None else ""
        table.add_row(field_label(name), Text(field_words(name, fields[name]), style=style))
    if "photo" in fields:
        table.add_row(field_label("photo"), Text(field_words("photo", fields["photo"])))
    return table


def _order(catalogue: Catalogue, name: str) -> int:
    spec = catalogue.fields.get(name)
    return 1000 if spec is None else spec.number


def _routing(message: Message) -> list[tuple[str, str]]:
    rows = [
        (gettext("sent"), f"{message.issued:%Y-%m-%d %H:%M} UTC"),
        (gettext("for"), f"{message.purpose} ({purpose_label(message.purpose)})"),
        (gettext("thread"), message.thread or gettext("none")),
        (
            gettext("grant"),
            gettext("{gid} (number {number} from this sender)", gid=message.gid, number=message.seq),
        ),
    ]
    if message.keep_until is not None:
        rows.append((gettext("keep until"), f"{message.keep_until:%Y-%m-%d}"))
    return rows
