"""Names and ids: what each is, and the strict check that every reader uses.

An id is random and says nothing about whom it concerns. Nothing here may derive one from a record.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NewType

from exchange_schemas.codec import JsonValue, b64u
from exchange_schemas.errors import Malformed

AgencyId = NewType("AgencyId", str)
Kid = NewType("Kid", str)
EnvelopeId = NewType("EnvelopeId", str)
GrantId = NewType("GrantId", str)
PartId = NewType("PartId", str)
ConsentId = NewType("ConsentId", str)
FamilyId = NewType("FamilyId", str)
ThreadId = NewType("ThreadId", str)
Digest = NewType("Digest", str)
"""base64url of 32 bytes: a SHA-256 value, 43 characters."""

ID_BYTES = 16
DIGEST_BYTES = 32

# The last character of canonical base64url has 2 (32 bytes) or 4 (16 bytes) zero bits at its end.
ID_PATTERN = "[A-Za-z0-9_-]{21}[AQgw]"
DIGEST_PATTERN = "[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]"
AGENCY_PATTERN = "[a-z][a-z0-9-]{2,39}"
# The deployment's name: a lower-case DNS-like name, so that it is also a valid log origin.
ORIGIN_PATTERN = "[a-z0-9](?:[a-z0-9.-]{0,98}[a-z0-9])?(?:/[a-z0-9-]{1,40}){0,2}"

_ID = re.compile(ID_PATTERN)
_DIGEST = re.compile(DIGEST_PATTERN)
_AGENCY = re.compile(AGENCY_PATTERN)
_ORIGIN = re.compile(ORIGIN_PATTERN)


def new_id(random: Callable[[int], bytes]) -> str:
    """A new id from `random(16)`: 22 characters of base64url.

    Raises: Malformed when the source of randomness gives another length.
    """
    data = random(ID_BYTES)
    if len(data) != ID_BYTES:
        raise Malformed(f"an id needs {ID_BYTES} random bytes")
    return b64u(data)


def check_id(value: JsonValue, *, field: str) -> str:
    """A random id: canonical base64url of 16 bytes. Raises: Malformed."""
    if isinstance(value, str) and _ID.fullmatch(value) is not None:
        return value
    raise Malformed(f"{field}: an id of {ID_BYTES} bytes in base64url is needed", field=field)


def check_digest(value: JsonValue, *, field: str) -> Digest:
    """A digest: canonical base64url of 32 bytes. Raises: Malformed."""
    if isinstance(value, str) and _DIGEST.fullmatch(value) is not None:
        return Digest(value)
    raise Malformed(f"{field}: a digest of {DIGEST_BYTES} bytes in base64url is needed", field=field)


def check_kid(value: JsonValue, *, field: str) -> Kid:
    """A key id: the digest of algorithm and raw public key. Raises: Malformed."""
    return Kid(check_digest(value, field=field))


def check_agency(value: JsonValue, *, field: str) -> AgencyId:
    """An agency id: `^[a-z][a-z0-9-]{2,39}$`. Raises: Malformed."""
    if isinstance(value, str) and _AGENCY.fullmatch(value) is not None:
        return AgencyId(value)
    raise Malformed(f"{field}: an agency id (a-z, 0-9, '-', 3 to 40 characters) is needed", field=field)


def check_origin(value: JsonValue, *, field: str = "origin") -> str:
    """A deployment's name, such as `exchange.example` or `exchange.example/audit`. Raises: Malformed."""
    if isinstance(value, str) and _ORIGIN.fullmatch(value) is not None:
        return value
    raise Malformed(f"{field}: a deployment's name in lower case is needed", field=field)
