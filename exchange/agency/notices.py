"""What the hub announces to this agency: a sharing on vital interest, to a commission.

Each notice is believed only with the receipt of its audit entry, of which this agency must be a party: the
hub cannot invent one, and one that it leaves out stands in the log, where auditors look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from exchange.agency.listings import pages
from exchange.member.session import Session
from exchange.member.store import Store
from exchange_schemas.codec import JsonValue, decode, format_time, parse_time
from exchange_schemas.entry import VITAL, Act, carried_for
from exchange_schemas.errors import EntryInvalid, HubRefused, Malformed
from exchange_schemas.ids import AgencyId, check_agency, check_id
from exchange_schemas.limits import LIMITS

_NOTICE, _CURSOR = "notice", "notice_cursor"


@dataclass(frozen=True, slots=True)
class Notice:
    """One sharing on vital interest; `seen` once a person has looked at it."""

    entry: str
    at: datetime
    expires: datetime
    issuer: AgencyId
    recipient: AgencyId
    purposes: tuple[str, ...]
    fields: tuple[str, ...]
    seen: bool = False

    def sentence(self) -> str:
        """The notice on one line."""
        return (
            f"VITAL INTEREST: {self.issuer} shares {', '.join(self.fields)} with {self.recipient} "
            f"for {', '.join(self.purposes)} until {self.expires:%Y-%m-%d %H:%M} UTC"
        )


@dataclass(frozen=True, slots=True)
class Notices:
    """The notices of one session."""

    session: Session

    def collect(self) -> list[Notice]:
        """Fetch, prove and keep what is new; every one that nobody has looked at yet.

        Raises: HubUnreachable, ProofInvalid, EntryInvalid for a notice that its entry does not bear out.
        """
        for value in self._fetched():
            notice = _read(value)
            answer = self.session.hub.get(f"/v1/audit/receipts/{notice.entry}")
            receipt = self.session.receipts.verify(answer.get("entry"), answer.get("proof"))
            _check(notice, receipt.id, receipt.entry)
            _put(self.session.store, notice)
        return [one for one in self.each() if not one.seen]

    def each(self) -> Iterator[Notice]:
        """All notices, oldest first."""
        return (_kept(entry, value) for entry, value in self.session.store.each(_NOTICE))

    def mark_seen(self, notices: Sequence[Notice]) -> None:
        """A person has looked at these."""
        with self.session.store.writing():
            for one in notices:
                _put(self.session.store, one, seen=True)

    def _fetched(self) -> Iterator[JsonValue]:
        store = self.session.store
        kept = store.get(_CURSOR, "last")
        cursor = None if kept is None else str(kept["cursor"])
        for page in pages(self.session.hub, "/v1/notices", cursor):
            if page.next is None:
                raise HubRefused("the hub's listing lacks its items", field="items")
            yield from page.items
            store.put(_CURSOR, "last", {"cursor": page.next})


def _check(notice: Notice, entry_id: str, entry: bytes) -> None:
    """That the entry says what the notice says. Raises: EntryInvalid."""
    members = decode(entry, limit=LIMITS.entry_bytes)
    parties = members.get("own")
    same = (
        entry_id == notice.entry
        and (members.get("act"), members.get("out")) == (Act.CONSENT_REGISTER.value, "allow")
        and (
            (members.get("pol"), members.get("org")) == (VITAL, notice.issuer)
            # A courier brought it for the issuer.
            or members.get("pol") == carried_for(notice.issuer, VITAL)
        )
        and isinstance(parties, list)
        and notice.recipient in parties
        and members.get("fld") == [*notice.fields]
    )
    if not same:
        raise EntryInvalid("a notice of the hub is not what its audit entry says", field="entry")


def _read(value: JsonValue) -> Notice:
    if not isinstance(value, dict):
        raise Malformed("items: an object is needed", field="items")
    return Notice(
        entry=check_id(value.get("entry"), field="entry"),
        at=parse_time(value.get("at"), field="at"),
        expires=parse_time(value.get("exp"), field="exp"),
        issuer=check_agency(value.get("iss"), field="iss"),
        recipient=check_agency(value.get("rcp"), field="rcp"),
        purposes=_names(value, "purposes"),
        fields=_names(value, "fields"),
    )


def _names(value: Mapping[str, JsonValue], name: str) -> tuple[str, ...]:
    found = value.get(name)
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise Malformed(f"{name}: a list of names is needed", field=name)
    return tuple(str(item) for item in found)


def _put(store: Store, notice: Notice, *, seen: bool = False) -> None:
    store.put(
        _NOTICE,
        notice.entry,
        {
            "entry": notice.entry,
            "at": format_time(notice.at),
            "exp": format_time(notice.expires),
            "iss": notice.issuer,
            "rcp": notice.recipient,
            "purposes": [*notice.purposes],
            "fields": [*notice.fields],
            "seen": seen or notice.seen,
        },
    )


def _kept(_entry: str, value: Mapping[str, JsonValue]) -> Notice:
    found = _read(dict(value))
    return Notice(
        found.entry,
        found.at,
        found.expires,
        found.issuer,
        found.recipient,
        found.purposes,
        found.fields,
        seen=value.get("seen") is True,
    )
