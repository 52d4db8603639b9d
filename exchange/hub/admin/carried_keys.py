"""The file of events that an agency's root signed (`hx-root-events`), as an operator's command reads it.

An agency writes it with `exchange-agency keys log-in` and signs it with `exchange-agency root sign`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exchange.directory.events import read_key_bytes
from exchange.hub.services.carried_keys import CarriedEvent
from exchange_keys.jws import Signed
from exchange_schemas.codec import decode
from exchange_schemas.errors import Malformed
from exchange_schemas.event import KeyEvent, RootSetEvent, read_event
from exchange_schemas.ids import AgencyId, Kid, check_agency
from exchange_schemas.limits import LIMITS

_TYP: Final = "hx-root-events"
_BYTES: Final = 512 * 1024
_DEPTH: Final = 12
_MOST: Final = 32
_MEMBERS: Final = {"v", "typ", "origin", "agency", "events", "keys"}


@dataclass(frozen=True, slots=True)
class CarriedEvents:
    """What the file holds: whose events, and each with the bytes of the keys that it names."""

    agency: AgencyId
    events: tuple[CarriedEvent, ...]

    @classmethod
    def read(cls, path: Path) -> CarriedEvents:
        """Read the file. Raises: Malformed."""
        with path.open("rb") as file:
            data = file.read(_BYTES + 1)
        value = decode(data.removesuffix(b"\n"), limit=_BYTES, depth=_DEPTH)
        if set(value) != _MEMBERS or (value["v"], value["typ"]) != (1, _TYP):
            raise Malformed("file: not events that an agency's root signed", field="file")
        events, keys = value["events"], value["keys"]
        if not isinstance(events, list) or not 1 <= len(events) <= _MOST or not isinstance(keys, dict):
            raise Malformed("file: not events that an agency's root signed", field="file")
        raw = read_key_bytes(keys)
        signed = [Signed.from_json(item, LIMITS.event_bytes) for item in events]
        return cls(
            check_agency(value["agency"], field="agency"), tuple((one, _of(one, raw)) for one in signed)
        )


def _of(signed: Signed, raw: dict[Kid, bytes]) -> dict[Kid, bytes]:
    """The bytes of the key that an event names."""
    event = read_event(signed.payload)
    named = (
        event.kid
        if isinstance(event, KeyEvent)
        else event.mldsa65
        if isinstance(event, RootSetEvent)
        else None
    )
    return {kid: data for kid, data in raw.items() if kid == named}
