"""Which bytes of a part a caller asks for (RFC 9110, sections 13.1.5 and 14): all of it, or what it lacks.

Pure. One range of bytes is served. A unit that is not `bytes` is not understood and gives the whole, as the
RFC demands; so does an If-Range that names other bytes than these. What is malformed, several ranges, or a
range without a byte in it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from exchange_schemas.errors import RangeUnsatisfiable
from exchange_schemas.ids import Digest

_UNIT: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(.*)", re.DOTALL)
_FROM: Final = re.compile(r"([0-9]{1,15})-([0-9]{1,15})?")
_LAST: Final = re.compile(r"-([0-9]{1,15})")


@dataclass(frozen=True, slots=True)
class Asked:
    """The request's Range and If-Range as they came; None where there is none."""

    range: str | None = None
    if_range: str | None = None


WHOLE: Final = Asked()


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes from `first` on, `length` of them, of `size` in all; `status` 206 where a range was given."""

    first: int
    length: int
    size: int
    tag: str
    status: int

    def headers(self) -> Mapping[str, str]:
        """What the answer says of itself."""
        said = {"Accept-Ranges": "bytes", "ETag": self.tag}
        if self.status == HTTPStatus.PARTIAL_CONTENT:
            said["Content-Range"] = f"bytes {self.first}-{self.first + self.length - 1}/{self.size}"
        return said


def entity_tag(digest: Digest) -> str:
    """The strong entity tag of a ciphertext: its digest, so that equal tags mean equal bytes everywhere."""
    return f'"{digest}"'


def span_of(asked: Asked, size: int, digest: Digest) -> Span:
    """The bytes to give of a part of `size` bytes. Raises: RangeUnsatisfiable."""
    tag = entity_tag(digest)
    whole = Span(0, size, size, tag, HTTPStatus.OK)
    found = None if asked.range is None else _UNIT.fullmatch(asked.range.strip(" \t"))
    if asked.range is None or (found is not None and found[1].lower() != "bytes"):
        return whole
    if asked.if_range is not None and asked.if_range.strip(" \t") != tag:
        # Another tag, a weak one or a date: none of them proves that the caller has the beginning of this.
        return whole
    place = None if found is None else _place(found[2].strip(" \t"), size)
    if place is None:
        raise RangeUnsatisfiable(
            f"Range: one range of bytes within the {size} of the part is needed",
            field="Range",
            detail={"bytes": size},
        )
    return Span(*place, size, tag, HTTPStatus.PARTIAL_CONTENT)


def _place(asked: str, size: int) -> tuple[int, int] | None:
    """(first byte, how many) within the whole; None when there is no byte of it in the range."""
    found = _FROM.fullmatch(asked)
    if found is not None:
        first = int(found[1])
        last = size - 1 if found[2] is None else int(found[2])
        return None if last < first or first >= size else (first, min(last, size - 1) - first + 1)
    found = _LAST.fullmatch(asked)
    if found is None or int(found[1]) == 0:
        return None
    length = min(int(found[1]), size)
    return size - length, length
