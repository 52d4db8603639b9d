"""What a text may be, wherever a person's words enter an object.

Nothing here changes a text: what does not pass is refused, so that signer and reader see the same characters.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NoReturn

from exchange_schemas.errors import Malformed

# Control characters and the two line separators break logs and terminals; bidi overrides and isolates
# (U+202A-202E, U+2066-2069) make a text look like another one; surrogates are not characters.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def refuse(where: str, rule: str, sentence: str) -> NoReturn:
    """Raise Malformed for the member `where` (a dotted path); `sentence` never holds a value."""
    raise Malformed(f"{where}: {sentence}", field=where, rule=rule)


def json_bytes(text: str) -> int:
    """Bytes that a text without control characters takes inside JSON: UTF-8, and two for `"` and `\\`."""
    return len(text.encode("utf-8")) + text.count('"') + text.count("\\")


def check_text(text: str, *, chars: int, octets: int, where: str) -> str:
    """A text of 1 to `chars` characters and at most `octets` bytes of JSON, in normal form C.

    Raises: Malformed with rule `length`, `characters`, `blank` or `nfc`.
    """
    if not 1 <= len(text) <= chars:
        refuse(where, "length", f"1 to {chars} characters are allowed")
    if _FORBIDDEN.search(text) is not None:
        refuse(where, "characters", "control characters and bidirectional overrides are not allowed")
    if json_bytes(text) > octets:
        refuse(where, "length", f"at most {octets} bytes are allowed")
    if not text.strip():
        refuse(where, "blank", "a text of spaces only is not allowed")
    if not unicodedata.is_normalized("NFC", text):
        refuse(where, "nfc", "the text must be in Unicode normal form C")
    return text
