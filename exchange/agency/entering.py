"""What a person enters, brought to the form that the catalogue wants; then checked by it.

Keyboards write the same letter in several ways: texts are brought to Unicode normal form C here, at entry,
and nowhere else. Nothing else about a value is repaired.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from difflib import get_close_matches

from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import Malformed, NotPermitted
from exchange_schemas.record import validate_record

_MADE_ELSEWHERE = {
    "child_ref": (
        "it is made for every recipient and never stored",
        "leave it out",
    ),
    "photo": (
        "a picture is attached, not entered",
        "use attach_photo or `exchange-agency record photo`, which make the picture safe",
    ),
}


def entered(fields: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The fields as they will be kept. Raises: Malformed naming field and rule, NotPermitted."""
    for name in fields:
        if name in _MADE_ELSEWHERE:
            why, instead = _MADE_ELSEWHERE[name]
            raise NotPermitted(f"{name}: {why}", field=name, rule="made-elsewhere", hint=instead)
    try:
        return checked({name: normal(value) for name, value in fields.items()})
    except Malformed as error:
        if error.hint is None and error.field is not None:
            error.hint = _takes(error.field)
        raise


def checked(fields: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The same fields once the catalogue accepts them; plain JSON. Raises: Malformed."""
    unknown = [name for name in fields if name not in load_catalogue().fields]
    if unknown:
        raise Malformed("the catalogue has no such record field", rule="unknown", hint=_nearest(unknown[0]))
    validate_record(fields)
    return dict(fields)


def normal(value: JsonValue) -> JsonValue:
    """The value with every text in Unicode normal form C."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, list):
        return [normal(item) for item in value]
    if isinstance(value, dict):
        return {name: normal(item) for name, item in value.items()}
    return value


def _takes(place: str) -> str | None:
    """What the field at fault takes; `place` may point into its value."""
    spec = load_catalogue().fields.get(re.split(r"[.\[]", place, maxsplit=1)[0])
    return None if spec is None else f"{spec.name} takes {spec.describe()}"


def _nearest(name: str) -> str:
    """Known names that look like the unknown one, which itself is not repeated: it may be a value."""
    near = get_close_matches(name, list(load_catalogue().fields), n=3)
    return f"did you mean {' or '.join(near)}?" if near else "`exchange-agency record fields` lists all"
