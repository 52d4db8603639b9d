"""Finding a record by words: every word must stand somewhere in it, whatever the case and accents.

Pure; the words and the values never leave memory.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from exchange.agency.model import Record
from exchange_schemas.codec import JsonValue


def matches(record: Record, words: str) -> bool:
    """Whether every word of `words` stands in the record's values or begins its reference."""
    text = " ".join(folded(value) for value in _texts(dict(record.fields)))
    return all(word in text or record.ref.startswith(raw) for raw, word in _words(words))


def folded(text: str) -> str:
    """Case, accents and compatibility forms taken away (Unicode NFKD, marks dropped, casefold)."""
    spread = unicodedata.normalize("NFKD", text)
    return "".join(char for char in spread if not unicodedata.combining(char)).casefold()


def _words(words: str) -> list[tuple[str, str]]:
    return [(raw, folded(raw)) for raw in words.split()]


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int):
        yield str(value)
