"""Values on the command line: NAME=VALUE pairs, dates, periods; bad ones are usage errors.

An error here never repeats the value: it may be a child's name.
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import click

from exchange.member.files import read_bounded
from exchange_schemas.codec import JsonValue, decode, decode_value
from exchange_schemas.errors import Malformed

_VALUE_BYTES = 64 * 1024
RECORD_FILE_BYTES = 256 * 1024


def pairs(given: tuple[str, ...], option: str) -> dict[str, JsonValue]:
    """`NAME=VALUE` options as a mapping; VALUE is JSON where it reads as JSON, else a text."""
    found: dict[str, JsonValue] = {}
    for one in given:
        name, equals, text = one.partition("=")
        if not equals or not name:
            raise click.BadParameter("NAME=VALUE is needed", param_hint=option)
        found[name] = _value(text)
    return found


def _value(text: str) -> JsonValue:
    # A bare 2015 is a year, never a number: texts stay texts unless they look like JSON of another type.
    if text[:1] not in '{["' and text not in ("true", "false"):
        return text
    try:
        return decode_value(text.encode(), limit=_VALUE_BYTES)
    except Malformed:
        return text


def record_file(path: Path) -> dict[str, JsonValue]:
    """A JSON object {field name: value} from a file, or from standard input for `-`."""
    if str(path) == "-":
        data = sys.stdin.buffer.read(RECORD_FILE_BYTES + 1)
    else:
        data = read_bounded(path, limit=RECORD_FILE_BYTES, what="record file")
    return decode(data, limit=RECORD_FILE_BYTES)


def day(text: str | None, option: str) -> date | None:
    """`YYYY-MM-DD` as a date, None for None."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter("a date YYYY-MM-DD is needed", param_hint=option) from None


def end_of(text: str | None, option: str) -> datetime | None:
    """`YYYY-MM-DD` as the last second of that day in UTC, None for None."""
    found = day(text, option)
    return None if found is None else datetime.combine(found, time(23, 59, 59), tzinfo=UTC)


def days(number: int | None) -> timedelta | None:
    """A number of days as a period, None for None."""
    return None if number is None else timedelta(days=number)
