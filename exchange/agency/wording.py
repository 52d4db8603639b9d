"""Values and codes in words that a person reads; labels come from the catalogue. Pure."""

from __future__ import annotations

from exchange.member.cli.output import isolated
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue


def in_words(value: JsonValue) -> str:
    """A field's value on one line, in words a person reads; nothing is left out."""
    if isinstance(value, dict):
        if set(value) == {"min", "max", "as_of"}:
            span = str(value["min"]) if value["min"] == value["max"] else f"{value['min']} to {value['max']}"
            return f"{span} years on {value['as_of']}"
        if set(value) >= {"text"} and set(value) <= {"text", "script", "language"}:
            return isolated(str(value["text"]))
        return "; ".join(f"{name.replace('_', ' ')}: {in_words(item)}" for name, item in value.items())
    if isinstance(value, list):
        return "\n".join(in_words(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return isolated(str(value))


def field_label(name: str) -> str:
    """A field's label, of a record or of a message; its name where the catalogue has none."""
    catalogue = load_catalogue()
    spec = catalogue.fields.get(name) or catalogue.message_fields.get(name)
    return name if spec is None else spec.label


def kind_label(name: str) -> str:
    """What kind of message it is, without the explanation after the colon."""
    spec = load_catalogue().kinds.get(name)
    return name if spec is None else spec.label.partition(":")[0]


def purpose_label(name: str) -> str:
    """What it was for."""
    return load_catalogue().purpose_labels.get(name, name)


def basis_label(name: str) -> str:
    """What it rested on."""
    return load_catalogue().basis_labels.get(name, name)


def code_words(code: str) -> str:
    """A code with its underscores as spaces."""
    return code.replace("_", " ")
