"""What has happened in a new sandbox: invented records, and messages of every state in the mailboxes.

River Relief holds three children. The notice of one waits for two recipients, that of another was opened, the
consent for the third was withdrawn before anybody looked. Any likeness to a real child is chance.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from exchange.agency import Client, Record
from exchange.sandbox.members import COMMISSION, EMBASSY, RIVER, Enrolled
from exchange.sandbox.sharing import consent, decide
from exchange_schemas.codec import JsonValue

_FOUND: Final = (
    ("Yara", "female", 6, 8, "Hillshire", ["ar", "en"]),
    ("Idris", "male", 9, 11, "Lakeshire", ["ku"]),
    ("Mina", "female", 4, 5, "Hillshire", ["fa"]),
)
_SOUGHT: Final[Mapping[str, JsonValue]] = {
    "name_given": {"text": "Yara"},
    "sex": "female",
    "birth_date": "2019",
    "case_step": "sought",
}


def tell(enrolled: Mapping[str, Enrolled]) -> None:
    """Make the records and send the messages, all of it through the SDK. Raises: ExchangeError."""
    with (
        enrolled[RIVER.id].open() as river,
        enrolled[COMMISSION.id].open() as commission,
        enrolled[EMBASSY.id].open() as embassy,
    ):
        for client in (river, commission, embassy):
            client.sync()
        yara, idris, mina = (decide(river, record) for record in _records(river))
        _notice(river, idris, COMMISSION.id)
        for item in commission.inbox(waiting_only=True):
            commission.open_grant(item.gid)
        withdrawn = _notice(river, mina, EMBASSY.id)
        river.consents.withdraw(withdrawn)
        _notice(river, yara, COMMISSION.id, EMBASSY.id)
        commission.records.add(dict(_SOUGHT))


def _records(client: Client) -> list[Record]:
    today = datetime.now(UTC).date().isoformat()
    return [
        client.records.add(
            {
                "name_given": {"text": name},
                "sex": sex,
                "age_range": {"min": youngest, "max": oldest, "as_of": today},
                "current_area": {"country": "IQ", "area": area},
                "languages": list[JsonValue](languages),
            }
        )
        for name, sex, youngest, oldest, area, languages in _FOUND
    ]


def _notice(client: Client, record: Record, *to: str) -> str:
    """Consent for each recipient and send one found notice to all; the last consent's id."""
    cids = [consent(client, record, one)[0] for one in to]
    client.send("found_notice", to=to, record=record.ref, purpose="trace")
    return cids[-1]
