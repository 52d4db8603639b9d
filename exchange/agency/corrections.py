"""Corrections: a sender corrects fields of an envelope of its own; readers see the newest value of each."""

from __future__ import annotations

from collections.abc import Mapping

from exchange.agency import deletion_rows, message_rows, sent_rows
from exchange.agency.model import Message
from exchange.agency.plan import Plan
from exchange.member.store import Store
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import FieldDenied, RecordUnknown
from exchange_schemas.ids import AgencyId

KIND = "correction"
_REFERENCE = "child_ref"


def check_correction(store: Store, plan: Plan) -> None:
    """What is corrected was sent from here to these recipients, field by field.

    Raises: RecordUnknown (rule K01-sent), FieldDenied (rule K02-field).
    """
    corrected = str(plan.values.get("correction_of"))
    before = {row.recipient: row for row in sent_rows.found(store, "eid", corrected)}
    known = load_catalogue().fields
    for one in plan.grants:
        row = before.get(AgencyId(one.agency))
        if row is None or row.record != plan.record:
            raise RecordUnknown(
                f"no such envelope about this record went to {one.agency}",
                field="correction_of",
                rule="K01-sent",
            )
        new = {name for name in one.fields if name in known} - {*row.fields, _REFERENCE}
        if new:
            raise FieldDenied(
                f"{min(new)}: it was not in the envelope that is corrected",
                field=min(new),
                rule="K02-field",
                hint="send it in a message of its own kind",
            )


def corrections_of(store: Store, message: Message) -> list[Message]:
    """Corrections that its own sender made to a message, oldest first; none whose consent was withdrawn."""
    if message.thread is None:
        return []
    found = message_rows.found(store, "thread", message.thread)
    return [
        one
        for one in found
        if one.kind == KIND
        and one.sender == message.sender
        and one.content.get("correction_of") == message.eid
        and not deletion_rows.locked(store, one)
    ]


def newest_fields(store: Store, message: Message) -> Mapping[str, JsonValue]:
    """The fields of a message with every correction of its sender in its place."""
    fields = dict(message.fields)
    for one in corrections_of(store, message):
        fields.update({name: value for name, value in one.fields.items() if name in message.fields})
    return fields
