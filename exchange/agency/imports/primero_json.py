"""Primero v2's case list and location list as plain values, with hostile input refused.

It maps nothing. Formats: Primero v2 API, `GET /api/v2/cases` and `GET /api/v2/locations`; a bare list
of cases is accepted as well.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from exchange.agency.imports.geography import country_code
from exchange_schemas.errors import ImportUnreadable

MAX_FILE_BYTES = 64 * 1024 * 1024

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]


@dataclass(frozen=True, slots=True)
class Place:
    """One location of the source's list: its country (ISO 3166-1), its first-level area, its own name."""

    country: str | None
    area: str | None
    name: str


def load_rows(path: Path, *, what: str) -> list[Mapping[str, Value]]:
    """The objects of `{"data": […]}` or of a bare list.

    Raises: ImportUnreadable for anything else; `what` names the file in the message.
    """
    value = _load(path, what)
    if isinstance(value, dict) and "data" in value:
        value = value["data"]
    if not isinstance(value, list):
        raise ImportUnreadable(f'{what}: neither a list nor an object with a list "data"', field="data")
    for number, row in enumerate(value, start=1):
        if not isinstance(row, dict):
            raise ImportUnreadable(f"{what}: entry {number} is not an object", field="data")
    return [row for row in value if isinstance(row, dict)]


def _load(path: Path, what: str) -> Value:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ImportUnreadable(
                f"{what}: larger than {MAX_FILE_BYTES} bytes",
                rule="import-size",
                hint="export it in pages; Primero gives at most 1,000 cases a page",
            )
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ImportUnreadable(f"{what}: cannot be read: {error.strerror}", field="file") from error
    except UnicodeDecodeError as error:
        raise ImportUnreadable(f"{what}: is not UTF-8 (byte {error.start})", field="file") from error
    try:
        value: Value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise ImportUnreadable(
            f"{what}: broken JSON at line {error.lineno}, column {error.colno}",
            field="file",
            rule="import-json",
        ) from error
    except RecursionError as error:
        raise ImportUnreadable(f"{what}: nested too deeply", field="file", rule="import-depth") from error
    return value


def _unique(pairs: list[tuple[str, Value]]) -> dict[str, Value]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ImportUnreadable("the JSON repeats a member within one object", rule="import-json")
    return result


def _refuse_constant(_: str) -> Value:
    raise ImportUnreadable("the JSON holds NaN or Infinity", rule="import-json")


def load_locations(path: Path) -> dict[str, Place]:
    """Primero's locations by code, each with its country and first-level area.

    Raises: ImportUnreadable.
    """
    rows = load_rows(path, what="locations file")
    names = {str(row.get("code")): _english(row.get("placename") or row.get("name")) for row in rows}
    return {str(row.get("code")): _place(row, names) for row in rows if row.get("code") is not None}


def _english(value: Value) -> str:
    """The English name, else the first that is not empty; a plain string is taken as it is."""
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        return ""
    texts = [value.get("en"), *value.values()]
    return next((text for text in texts if isinstance(text, str) and text != ""), "")


def _place(row: Mapping[str, Value], names: Mapping[str, str]) -> Place:
    own = names[str(row.get("code"))].rsplit("::", 1)[-1]
    path = _path(row, names)
    country = country_code(path[0]) if path else None
    if country is None and not _list(row.get("hierarchy")):
        country = country_code(str(row.get("code")))
    return Place(country=country, area=path[1] if len(path) > 1 else None, name=own)


def _path(row: Mapping[str, Value], names: Mapping[str, str]) -> list[str]:
    """Names from the country down: `name` holds them joined by `::`, else `hierarchy` lists the codes."""
    full = _english(row.get("name"))
    if "::" in full:
        return full.split("::")
    above = [names.get(str(code), "") for code in _list(row.get("hierarchy"))]
    return [*above, names[str(row.get("code"))]]


def _list(value: Value) -> Sequence[Value]:
    return value if isinstance(value, list) else ()
