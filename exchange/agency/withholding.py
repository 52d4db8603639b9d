"""The withhold list: who must never learn of a child. It stands in the holder's store and never leaves it.

No consent and no message names it, and nothing lifts it but an approver of this agency: no consent, no vital
interest. An entry is an agency's id, `kind:` with a kind of agency, or `country:` with a country code.
The rule, with a permanent tag:
  W01-withheld   the recipient is on the record's withhold list
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from exchange.consent import Party
from exchange.member.store import Store
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import Malformed, RecipientDenied, StoreCorrupt
from exchange_schemas.ids import check_agency

RULE = "W01-withheld"
KIND, COUNTRY = "kind:", "country:"
_COUNTRY_CODE = re.compile("[A-Z]{2}")
_COLLECTION = "withhold"


@dataclass(frozen=True, slots=True)
class Withholding:
    """The entries of one record, sorted; none: it is withheld from nobody."""

    entries: tuple[str, ...] = ()

    def covers(self, party: Party) -> bool:
        """Whether this agency must never learn of the child."""
        names = {party.agency, f"{KIND}{party.kind}", f"{COUNTRY}{party.country}"}
        return not names.isdisjoint(self.entries)


def check_entry(text: str) -> str:
    """An entry in its one form. Raises: Malformed for what is no agency, kind or country."""
    if text.startswith(KIND):
        if text.removeprefix(KIND) not in load_catalogue().agency_kinds:
            raise Malformed("withhold: no such kind of agency", field="withhold", rule="unknown")
        return text
    if text.startswith(COUNTRY):
        if _COUNTRY_CODE.fullmatch(text.removeprefix(COUNTRY)) is None:
            raise Malformed("withhold: a country is two capital letters", field="withhold", rule="country")
        return text
    return check_agency(text, field="withhold")


def of_record(store: Store, record: str) -> Withholding:
    """The withhold list of a record. Raises: StoreCorrupt."""
    value = store.get(_COLLECTION, record)
    entries: JsonValue = [] if value is None else value.get("entries")
    if not isinstance(entries, list):
        raise StoreCorrupt("a withhold list in the local store cannot be read")
    return Withholding(tuple(str(one) for one in entries))


def change(
    store: Store, record: str, *, add: Collection[str] = (), lift: Collection[str] = ()
) -> Withholding:
    """Add and lift entries of a record's list."""
    with store.writing():
        kept = (set(of_record(store, record).entries) | set(add)) - set(lift)
        store.put(_COLLECTION, record, {"entries": [*sorted(kept)]})
    return Withholding(tuple(sorted(kept)))


def forget(store: Store, record: str) -> None:
    """Forget the list of a record that is deleted."""
    store.delete(_COLLECTION, record)


def check_withheld(store: Store, record: str | None, party: Party) -> None:
    """W01. Raises: RecipientDenied."""
    if record is not None and of_record(store, record).covers(party):
        raise RecipientDenied(
            f"the record is withheld from {party.agency}: nothing of it may ever go there",
            field="to",
            rule=RULE,
            hint="only an approver may change who it is withheld from: `exchange-agency record withhold`",
        )
