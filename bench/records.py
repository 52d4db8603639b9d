"""The invented child that the benches seal and send: twelve fields, one of them made for every recipient.

Only invented values, and only for benches.
"""

from typing import Final

from exchange_schemas.codec import JsonValue
from exchange_schemas.record import encode_field

OWN: Final = "child_ref"
"""The field that is sealed anew for every recipient."""

SHARED: Final[dict[str, JsonValue]] = {
    "name_given": {"text": "Leyla", "script": "Latn", "language": "ar"},
    "name_family": {"text": "Al-Example", "script": "Latn"},
    "sex": "female",
    "age_range": {"min": 5, "max": 7, "as_of": "2026-05-01"},
    "current_area": {"country": "IQ", "area": "IQ-NI"},
    "languages": ["ar", "ku"],
    "marks": [{"site": "arm", "kind": "scar", "text": "two centimetres, left wrist"}],
    "build": {"eye": "brown", "hair": "black", "height_cm": 112, "as_of": "2026-05-01"},
    "found_with": "a neighbour who has since left",
    "last_seen": {
        "date": "2026-04",
        "text": "northern reception centre",
        "source": "other",
        "confidence": "low",
    },
    "urgent_flags": ["none_known"],
}
FIELDS: Final = (OWN, *SHARED)


def plaintexts() -> dict[str, bytes]:
    """The eleven shared fields as they are sealed."""
    return {name: encode_field(name, value) for name, value in SHARED.items()}


def own_plaintext(reference: str) -> dict[str, bytes]:
    """`child_ref` for one recipient; `reference` is an id of 22 characters."""
    return {OWN: encode_field(OWN, reference)}
