"""Printing a record's card: a disclosure outside the exchange, so it has a reason, a watermark and a trace.

The steps, each before the next: (1) the holder's rules allow it (2) every field serves the purpose (3) it is
kept in the local log (4) the page is made (5) the hub logs it, now or at the next sync. A card is never made
without its line in the local log. The rules, each with a permanent tag:
  P01-purpose    the field does not serve this purpose
  P02-absent     the record does not hold the field
  S01 to S06     as for sending (release.py), unless a law or a life in danger asks for it
  W01-withheld   the record is withheld from this agency (withholding.py); nothing overrides that
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from exchange.agency import printed
from exchange.agency.card_page import Watermark, card
from exchange.agency.finality import may_pass
from exchange.agency.model import Record
from exchange.agency.parties import party_of
from exchange.agency.printed import Printed
from exchange.agency.records import Records
from exchange.agency.release import require_sendable
from exchange.agency.withholding import check_withheld
from exchange.member.session import Session
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import Encodable, b64u, sha256
from exchange_schemas.errors import ConfigInvalid, ExchangeError, FieldDenied, HubRefused, LogError, Malformed
from exchange_schemas.ids import AgencyId, new_id

TEXT_CHARS = 200
# What a source or a missing decision forbids, these may still ask for: they do not rest on sharing.
_ABOVE_RELEASE = ("legal_obligation", "vital_interest")


@dataclass(frozen=True, slots=True)
class Why:
    """To whom (a person or office, in words, or an agency's id), why, for which purpose, on what basis."""

    to: str
    why: str
    purpose: str
    basis: str


class Prints:
    """Use `Client.prints`."""

    def __init__(self, session: Session, records: Records) -> None:
        self._session = session
        self._records = records

    def make(self, ref: str, fields: Sequence[str], why: Why) -> tuple[str, Printed]:
        """The card of a record as an HTML page, and its line in the local log; the hub is told if it answers.

        Raises: RecordUnknown, Malformed, NotPermitted, FieldDenied, RecipientDenied; what a hub whose log
        does not verify raises.
        """
        record = self._records.get(ref)
        names = self._allowed(record, fields, why)
        row = Printed(
            id=new_id(self._session.random),
            record=record.ref,
            when=self._session.now().replace(microsecond=0),
            user=self._session.user,
            to=why.to,
            why=why.why,
            purpose=why.purpose,
            basis=why.basis,
            fields=names,
            digest="",
        )
        profile = self._session.profile
        mark = Watermark(f"{row.user}, {profile.name}", row.to, row.why, row.when, row.id)
        photo = self._records.photo(record.ref) if "photo" in names else None
        page = card(record, names, photo, mark)
        row = replace(row, digest=b64u(sha256(page.encode())))
        printed.put(self._session.store, row)
        try:
            row = self._tell(row)
        except ExchangeError as error:
            # It is in the local log, and the next sync tells the hub: an office without network prints too.
            if isinstance(error, LogError) or not may_pass(error):
                raise
        return page, row

    def of_record(self, ref: str) -> list[Printed]:
        """What was printed of a record, oldest first. Raises: RecordUnknown."""
        return printed.of_record(self._session.store, self._records.get(ref).ref)

    def catch_up(self) -> list[str]:
        """What `sync` does: tell the hub of prints that it has not logged; sentences on what did not work."""
        said = []
        for row in printed.due(self._session.store):
            try:
                self._tell(row)
            except ExchangeError as error:
                if isinstance(error, LogError) or not may_pass(error):
                    raise
                said.append(f"a printed card could not be logged ({error.code}); the next sync tries again")
        return said

    def _allowed(self, record: Record, fields: Sequence[str], why: Why) -> tuple[str, ...]:
        """(1) and (2). The fields in the catalogue's order."""
        catalogue = load_catalogue()
        for name, text in (("to", why.to), ("why", why.why)):
            if not text.strip() or len(text) > TEXT_CHARS:
                raise Malformed(f"{name}: 1 to {TEXT_CHARS} characters are needed", field=name)
        if why.purpose not in catalogue.purposes or why.basis not in catalogue.bases:
            raise Malformed("a purpose and a basis of the catalogue are needed", field="purpose")
        self._check_withheld(record, why.to)
        if why.basis not in _ABOVE_RELEASE:
            require_sendable(self._records.sendable(record), why.purpose)
        for name in fields:
            spec = catalogue.fields.get(name)
            if spec is None:
                raise Malformed("field: the catalogue has no such field", field="field")
            if name not in record.fields:
                raise FieldDenied(f"{name}: the record does not hold it", field=name, rule="P02-absent")
            if why.purpose not in spec.purposes:
                raise FieldDenied(
                    f"{name}: it does not serve the purpose {why.purpose}",
                    field=name,
                    rule="P01-purpose",
                    hint=f"it may be used for: {', '.join(sorted(spec.purposes))}",
                )
        if not fields:
            raise Malformed("field: name at least one", field="field")
        return tuple(name for name in catalogue.fields if name in fields)

    def _check_withheld(self, record: Record, to: str) -> None:
        """W01, where the paper is for an agency that takes part in the exchange."""
        try:
            state = self._session.directory.state()
        except ConfigInvalid:
            return
        agency = AgencyId(to.strip())
        if state.agency(agency) is not None:
            check_withheld(self._session.store, record.ref, party_of(state, agency))

    def _tell(self, row: Printed) -> Printed:
        _, answer = self._session.hub.post("/v1/disclosures", note_of(row))
        entry = self._session.receipts.id_of(answer.get("receipt"))
        if entry is None:
            raise HubRefused("the hub's answer lacks its receipt", field="receipt")
        return printed.told(self._session.store, row, entry)


def note_of(row: Printed) -> dict[str, Encodable]:
    """What the hub is told of a print."""
    return {"print": row.id, "purpose": row.purpose, "basis": row.basis, "names": list(row.fields)}
