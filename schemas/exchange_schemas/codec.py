"""The one strict codec: JSON objects, base64url, length prefixes, digests and times.

Everything that is signed or hashed goes through here, so two readers can never see two meanings in one
sequence of bytes. It must never repair what it reads, and never echo a value in an error.
Sources: RFC 8259 (JSON), RFC 7493 (I-JSON: unique names, integers within 2^53-1), RFC 4648 section 5.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeAlias

from exchange_schemas.errors import Malformed
from exchange_schemas.limits import LIMITS

JsonValue: TypeAlias = "bool | int | str | list[JsonValue] | dict[str, JsonValue] | None"
"""What decoding gives. There are no floats: no object of the exchange has any."""

Encodable: TypeAlias = "bool | int | str | Sequence[Encodable] | Mapping[str, Encodable] | None"
"""What encoding takes: as `JsonValue`, with any mapping and any sequence."""

MAX_INT = 2**53 - 1
JSON_DEPTH = LIMITS.json_depth

_NEITHER_BRACKET_NOR_QUOTE = bytes(set(range(256)) - set(b'[]{}"'))
_BRACKETS_TO_BRACES = bytes.maketrans(b"[]", b"{}")
# A string, ended or not, or one bracket. Possessive, and an unended string runs to the end of the input:
# the scan stays linear whatever is sent.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|([\[{])|([\]}])', re.DOTALL)
_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_BAD_IN_STRING = re.compile("[\x00\ud800-\udfff]")
# Hours to 23: newer Pythons read 24:00:00 as the next day, a second spelling of one instant.
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}Z")


def _refuse_number(_text: str) -> NoReturn:
    raise Malformed("JSON: only whole numbers are allowed")


def _whole_number(text: str) -> int:
    # Length first: int() of a very long digit string is slow and then fails with ValueError.
    if len(text) > 17 or text == "-0":
        raise Malformed("JSON: a number is over 2^53-1 or is minus zero")
    number = int(text)
    if not -MAX_INT <= number <= MAX_INT:
        raise Malformed("JSON: a number is over 2^53-1")
    return number


def _unique_members(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("JSON: a member name appears twice")
    return members


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_members,
    parse_int=_whole_number,
    parse_float=_refuse_number,
    parse_constant=_refuse_number,
)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def _deeper_than(data: bytes, depth: int) -> bool:
    """Whether brackets outside strings nest deeper than `depth`; never recursive, linear in the input."""
    if data.count(b"{") + data.count(b"[") <= depth:
        return False
    # An escape ends no string. Outside strings it is no JSON: what stands before it is judged here all the
    # same, and the parser goes no further.
    plain = _ESCAPE.sub(b"", data) if b"\\" in data else data
    # Keep brackets and quotes only. If all quotes go away in pairs, every run of them had an even
    # length, so each bracket between two runs lies outside strings.
    bare = plain.translate(_BRACKETS_TO_BRACES, _NEITHER_BRACKET_NOR_QUOTE).replace(b'""', b"")
    if b'"' not in bare:
        # Take one level of empty pairs away at a time; what is left is deeper, or does not balance.
        for _ in range(depth):
            bare = bare.replace(b"{}", b"")
        return bare != b""
    level = 0
    for match in _STRING_OR_BRACKET.finditer(data):
        if match.lastindex == 1:
            level += 1
            if level > depth:
                return True
        elif match.lastindex == 2:
            level -= 1
    return False


def _check_strings(value: JsonValue) -> None:
    """Refuse NUL and lone surrogates; both can only come from escapes. Depth was checked before."""
    if isinstance(value, str):
        if _BAD_IN_STRING.search(value) is not None:
            raise Malformed("JSON: a text has a NUL or half a surrogate pair")
    elif isinstance(value, list):
        for item in value:
            _check_strings(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_strings(name)
            _check_strings(item)


def decode_value(data: bytes, *, limit: int, depth: int = JSON_DEPTH) -> JsonValue:
    """Read one JSON value of at most `limit` bytes and `depth` nested containers.

    Raises: Malformed, for everything protocol.md "Encoding" refuses.
    """
    if len(data) > limit:
        raise Malformed(f"JSON: longer than {limit} bytes")
    if _deeper_than(data, depth):
        raise Malformed(f"JSON: nested deeper than {depth}, or brackets that do not match")
    try:
        text = data.decode("utf-8", "strict")
        value: JsonValue = _DECODER.decode(text)
    except UnicodeDecodeError:
        raise Malformed("JSON: not UTF-8") from None
    except json.JSONDecodeError:
        raise Malformed("JSON: not one well-formed value") from None
    if b"\\u" in data:
        _check_strings(value)
    return value


def decode(data: bytes, *, limit: int, depth: int = JSON_DEPTH) -> dict[str, JsonValue]:
    """Read one JSON object; as `decode_value`, and anything but an object is refused.

    Raises: Malformed.
    """
    value = decode_value(data, limit=limit, depth=depth)
    if not isinstance(value, dict):
        raise Malformed("JSON: an object is needed")
    return value


def _is_plain(value: Any, depth: int) -> bool:
    """Whether the encoder can take the value as it is; texts are judged by what it writes."""
    kind = type(value)
    if kind is int:
        number: int = value
        return -MAX_INT <= number <= MAX_INT
    if kind is not dict and kind is not list:
        return kind is str or kind is bool or value is None
    if depth <= 0:
        return False
    if kind is dict:
        for name in value:
            if type(name) is not str:
                return False
        value = value.values()
    for item in value:  # noqa: SIM110  # most are texts: seen here they take half as long as in `all`
        if type(item) is not str and not _is_plain(item, depth - 1):
            return False
    return True


def _plain(value: Encodable, depth: int) -> object:
    """The same value in dicts and lists, refused where `decode_value` would refuse it."""
    if isinstance(value, str):
        if _BAD_IN_STRING.search(value) is not None:
            raise Malformed("JSON: a text has a NUL or half a surrogate pair")
        return value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if not -MAX_INT <= value <= MAX_INT:
            raise Malformed("JSON: a number is over 2^53-1")
        return value
    if depth == 0:
        raise Malformed("JSON: nested too deep")
    return _plain_container(value, depth)


def _plain_container(value: object, depth: int) -> object:
    if isinstance(value, Mapping):
        members: dict[str, object] = {}
        for name, item in value.items():
            if not isinstance(name, str):
                raise Malformed("JSON: a member name is not text")
            _plain(name, depth)
            members[name] = _plain(item, depth - 1)
        return members
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [_plain(item, depth - 1) for item in value]
    raise Malformed("JSON: a value of a type that JSON does not have")


def encode(value: Encodable, *, limit: int | None = None, depth: int = JSON_DEPTH) -> bytes:
    """Compact UTF-8 JSON with sorted member names; `decode_value(encode(x))` is `x`.

    `limit` is in bytes. Raises: Malformed for whatever decoding would refuse.
    """
    text = _ENCODER.encode(value if _is_plain(value, depth) else _plain(value, depth))
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed("JSON: a text has half a surrogate pair") from None
    if b"\\u0000" in data:
        # A NUL, or a backslash before "u0000": the slow walk tells them apart.
        _plain(value, depth)
    if limit is not None and len(data) > limit:
        raise Malformed(f"JSON: longer than {limit} bytes")
    return data


def b64u(data: bytes) -> str:
    """base64url without padding (RFC 4648 section 5)."""
    text = binascii.b2a_base64(data, newline=False).translate(_TO_URL, b"=")
    return text.decode("ascii")


def unb64u(text: JsonValue, *, field: str, length: int | None = None, limit: int | None = None) -> bytes:
    """Strict base64url: no padding, no spaces, last bits zero; exactly `length` or at most `limit` bytes.

    Raises: Malformed.
    """
    if not isinstance(text, str):
        raise Malformed(f"{field}: base64url text is needed", field=field)
    most = length if length is not None else limit
    # Before decoding, so that an over-long text costs nothing.
    if most is not None and len(text) > (most * 4 + 2) // 3:
        raise Malformed(f"{field}: longer than {most} bytes", field=field)
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        data = binascii.a2b_base64(padded.translate(_FROM_URL))
    except (UnicodeEncodeError, binascii.Error):
        raise Malformed(f"{field}: not base64url", field=field) from None
    # One comparison catches padding, spaces, "+", "/", stray characters and non-zero last bits.
    if b64u(data) != text:
        raise Malformed(f"{field}: not canonical base64url", field=field)
    if length is not None and len(data) != length:
        raise Malformed(f"{field}: {length} bytes are needed", field=field)
    return data


_FROM_URL = bytes.maketrans(b"-_", b"+/")
_TO_URL = bytes.maketrans(b"+/", b"-_")


def lp(*items: bytes) -> bytes:
    """Each item after its length as an unsigned 64-bit big-endian integer: `LP(x)` of protocol.md."""
    return b"".join([len(item).to_bytes(8, "big") + item for item in items])


def sha256(data: bytes) -> bytes:
    """`H` of protocol.md, 32 bytes."""
    return hashlib.sha256(data).digest()


def parse_time(text: JsonValue, *, field: str) -> datetime:
    """`YYYY-MM-DDTHH:MM:SSZ` exactly, a real instant; aware UTC.

    Raises: Malformed.
    """
    if isinstance(text, str) and _TIME.fullmatch(text) is not None:
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    raise Malformed(f"{field}: a real time written YYYY-MM-DDTHH:MM:SSZ is needed", field=field)


def format_time(when: datetime) -> str:
    """The instant in UTC as `YYYY-MM-DDTHH:MM:SSZ`; parts of a second are cut off.

    Raises: Malformed when the time has no zone.
    """
    if when.tzinfo is None:
        raise Malformed("a time without a zone cannot be written")
    return when.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
