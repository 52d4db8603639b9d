"""Values and codes in words that a person reads, in the reader's language; labels come from the catalogue.

What is translated is decided by the catalogue's types: a code is, a text that somebody wrote never is.
"""

from __future__ import annotations

from exchange.member.cli.output import isolated
from exchange.words import apart, gettext, pgettext
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue
from exchange_schemas.value_types import CodesType, CodeType, ListType, ObjectType, ValueType


def field_words(name: str, value: JsonValue) -> str:
    """The value of a record's or message's field, in words a person reads; nothing is left out.

    One line, but a line for each item of a list.
    """
    catalogue = load_catalogue()
    spec = catalogue.fields.get(name) or catalogue.message_fields.get(name)
    return _words(value, None if spec is None else spec.type)


def _words(value: JsonValue, kind: ValueType | None) -> str:
    if isinstance(value, dict):
        return _object_words(value, kind)
    if isinstance(value, list):
        item = kind.item if isinstance(kind, ListType) else kind
        return "\n".join(_words(one, item) for one in value)
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(kind, CodeType | CodesType) and isinstance(value, str) and value in kind.codes:
        return code_words(value)
    shown = isolated(str(value))
    return apart(shown) if shown.isascii() else shown


def _object_words(value: dict[str, JsonValue], kind: ValueType | None) -> str:
    if set(value) == {"min", "max", "as_of"}:
        if value["min"] == value["max"]:
            return gettext("{age} years on {day}", age=value["min"], day=value["as_of"])
        return gettext(
            "{min} to {max} years on {day}", min=value["min"], max=value["max"], day=value["as_of"]
        )
    if set(value) >= {"text"} and set(value) <= {"text", "script", "language"}:
        return isolated(str(value["text"]))
    types = {one.name: one.type for one in kind.members} if isinstance(kind, ObjectType) else {}
    between = gettext("; ")
    return between.join(
        f"{member_label(name)}: {_words(item, types.get(name))}" for name, item in value.items()
    )


def member_label(name: str) -> str:
    """A part of a value, such as the date of a step."""
    return pgettext("member", name.replace("_", " "))


def field_label(name: str) -> str:
    """A field's label, of a record or of a message; its name where the catalogue has none."""
    catalogue = load_catalogue()
    spec = catalogue.fields.get(name) or catalogue.message_fields.get(name)
    return name if spec is None else gettext(spec.label)


def kind_label(name: str) -> str:
    """What kind of message it is, without the explanation after the colon."""
    spec = load_catalogue().kinds.get(name)
    return name if spec is None else gettext(spec.label).partition(":")[0].strip()


def purpose_label(name: str) -> str:
    """What it was for."""
    return gettext(load_catalogue().purpose_labels.get(name, name))


def basis_label(name: str) -> str:
    """What it rested on."""
    return gettext(load_catalogue().basis_labels.get(name, name))


def state_words(state: str) -> str:
    """Where a thing stands (a key, a grant, a request), in words; a word that is no state stays."""
    return pgettext("state", state)


def code_words(code: str) -> str:
    """A code in words."""
    return pgettext("code", code.replace("_", " "))
