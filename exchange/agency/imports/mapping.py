"""Collecting one mapped record: each value goes through the catalogue's own rule or is left out by name.

Shared by both formats. It must never put a value into a reason.
"""

import unicodedata
from collections.abc import Sequence

from exchange.agency.imports.model import LeftOut
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import ProtocolError
from exchange_schemas.record import validate_field

# ISO 15924 codes by the word that a letter's Unicode name begins with.
_SCRIPTS = {
    "LATIN": "Latn",
    "CYRILLIC": "Cyrl",
    "ARABIC": "Arab",
    "HEBREW": "Hebr",
    "GREEK": "Grek",
    "ARMENIAN": "Armn",
    "GEORGIAN": "Geor",
    "DEVANAGARI": "Deva",
    "ETHIOPIC": "Ethi",
}


class Collector:
    """The fields mapped so far, what was left out, and what a caseworker should read and transcribe."""

    def __init__(self) -> None:
        self.fields: dict[str, JsonValue] = {}
        self._left_out: dict[str, str] = {}
        self.to_transcribe: list[tuple[str, str]] = []

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Every left-out field once, in the order met."""
        return tuple(LeftOut(field, why) for field, why in self._left_out.items())

    def leave_out(self, field: str, why: str) -> None:
        """Note that `field` of the source was not mapped."""
        self._left_out.setdefault(field, why)

    def take(self, name: str, value: JsonValue, *, source: str) -> bool:
        """Map `value` to the catalogue's field `name` if its rule accepts it, else leave `source` out."""
        try:
            self.fields[name] = validate_field(name, value)
        except ProtocolError as error:
            self.leave_out(source, f"does not fit {name}: {error.rule or error.code.lower()}")
            return False
        return True

    def transcribe(self, field: str, text: str) -> None:
        """Keep free text for a person to read; it is never mapped."""
        self.to_transcribe.append((field, text))
        self.leave_out(field, "free text: read it and enter what belongs into marks, found_with or names")


def clean(text: str) -> str:
    """NFC, inner white space folded to single spaces, none around."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def script_of(text: str) -> str | None:
    """ISO 15924 code when all letters are of one known script, else None."""
    found = {unicodedata.name(letter, "").split(" ")[0] for letter in text if letter.isalpha()}
    return _SCRIPTS.get(found.pop()) if len(found) == 1 else None


def name_value(text: str) -> dict[str, JsonValue]:
    """A name in the contract's form, with its script where that is plain to see."""
    value: dict[str, JsonValue] = {"text": clean(text)}
    script = script_of(text)
    if script is not None:
        value["script"] = script
    return value


def other_names(texts: Sequence[str], *, known: Sequence[str]) -> list[JsonValue]:
    """Distinct further names, without those in `known`, at most the catalogue's eight."""
    taken = {clean(text).casefold() for text in known}
    names: list[JsonValue] = []
    for text in texts:
        plain = clean(text)
        if plain != "" and plain.casefold() not in taken:
            taken.add(plain.casefold())
            names.append(name_value(plain))
    return names[:8]
