"""Constants and values of the agency's tests; all people and places are invented."""

from datetime import UTC, datetime

from exchange.agency.model import Message
from exchange_schemas.ids import AgencyId, EnvelopeId, GrantId

ORIGIN = "exchange.example"
PASSPHRASE = b"four random words here"
ROOT_PASSPHRASE = b"other words for the root"


def opened_message() -> Message:
    """An opened found notice, without a photo."""
    return Message(
        gid=GrantId("9sJxD0xZ3kQe7mPq2LwT4A"),
        eid=EnvelopeId("QuiToaYTHPEid8_3n8l5lA"),
        kind="found_notice",
        sender=AgencyId("ngo-b"),
        thread=None,
        purpose="trace",
        issued=datetime(2026, 11, 23, 12, 0, tzinfo=UTC),
        expires=datetime(2026, 12, 23, 12, 0, tzinfo=UTC),
        seq=1,
        consent=None,
        keep_until=datetime(2027, 11, 23, tzinfo=UTC),
        fields={"sex": "female", "age_range": {"min": 5, "max": 7, "as_of": "2026-05-01"}},
        content={},
        photo=None,
    )
