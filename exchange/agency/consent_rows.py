"""How consents lie in the store: our own with their evidence and salt, and those that others granted to us.

The salt opens `subj`: whoever has it and the record's reference can prove which child a consent is about.
It never leaves this machine except at the holder's own decision.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from exchange.agency.model import ConsentInfo
from exchange.member.store import Store
from exchange_keys.jws import Signed
from exchange_schemas.codec import Encodable, JsonValue, b64u, sha256, unb64u
from exchange_schemas.consent import Consent, Withdrawal
from exchange_schemas.errors import StoreCorrupt
from exchange_schemas.ids import Digest
from exchange_schemas.limits import LIMITS

OWN = "consent"
RECEIVED = "consent_received"
ACTIVE, WITHDRAWN, SUPERSEDED, EXPIRED = "active", "withdrawn", "superseded", "expired"


@dataclass(frozen=True, slots=True)
class Granted:
    """One consent. `record` and `salt` are ours only; `registered`: the hub has confirmed it.

    `evidence` are texts by what they are evidence of, each with the salt of its digest. `logged` are the ids
    of its entries in the audit log: registered, withdrawn.
    """

    signed: Signed
    status: str = ACTIVE
    registered: bool = False
    record: str | None = None
    salt: bytes | None = None
    evidence: Mapping[str, JsonValue] | None = None
    withdrawal: Signed | None = None
    logged: Mapping[str, str] = field(default_factory=dict)

    @property
    def consent(self) -> Consent:
        """The payload. Raises: Malformed (never for one that was kept)."""
        return Consent.from_bytes(self.signed.payload)

    @property
    def digest(self) -> Digest:
        """H of the payload: what a grant names as `cns`."""
        return Digest(b64u(sha256(self.signed.payload)))

    def info(self, now: datetime) -> ConsentInfo:
        """As the SDK shows it."""
        consent = self.consent
        expired = self.status == ACTIVE and consent.exp <= now
        return ConsentInfo(
            cid=consent.cid,
            family=consent.family,
            issuer=consent.iss,
            recipient=consent.rcp,
            purposes=consent.pur,
            fields=consent.fields,
            not_before=consent.nbf,
            expires=consent.exp,
            status=EXPIRED if expired else self.status,
            digest=self.digest,
            record=self.record,
            vital_interest=consent.vital,
        )

    def withdrawn_by(self, withdrawal: Signed) -> Granted:
        """The same, withdrawn for good."""
        return replace(self, status=WITHDRAWN, withdrawal=withdrawal)

    def logged_as(self, what: str, entry: str | None) -> Granted:
        """The same with the id of one of its entries in the audit log; None changes nothing."""
        return self if entry is None else replace(self, logged={**self.logged, what: entry})


def put(store: Store, collection: str, row: Granted) -> None:
    """Keep one consent, in place of an older version of it."""
    consent = row.consent
    value: dict[str, Encodable] = {
        "signed": row.signed.to_json(),
        "status": row.status,
        "registered": row.registered,
        "record": row.record,
        "salt": None if row.salt is None else b64u(row.salt),
        "evidence": row.evidence,
        "withdrawal": None if row.withdrawal is None else row.withdrawal.to_json(),
        "logged": row.logged,
    }
    lookups = [("digest", row.digest), ("family", consent.family)]
    if row.record is not None:
        lookups += [("record", row.record), ("pair", f"{row.record}/{consent.rcp}")]
    store.put(collection, consent.cid, value, lookups=lookups)


def get(store: Store, collection: str, cid: str) -> Granted | None:
    """One consent by its id, or None."""
    value = store.get(collection, cid)
    return None if value is None else _row(value)


def each(store: Store, collection: str) -> Iterator[Granted]:
    """All of a collection, oldest first."""
    return (_row(value) for _, value in store.each(collection))


def found(store: Store, collection: str, name: str, text: str) -> list[Granted]:
    """Those with this digest, family, record or pair, oldest first."""
    return [_row(value) for _, value in store.found(collection, name, text)]


def superseding(store: Store, collection: str, old: Granted) -> Consent | None:
    """The newest kept consent that its issuer put in the place of `old`; None while that stands."""
    family = [row.consent for row in found(store, collection, "family", old.consent.family)]
    later = {one.supersedes: one for one in family if one.iss == old.consent.iss}
    newest = later.pop(old.consent.cid, None)
    while newest is not None and newest.cid in later:
        newest = later.pop(newest.cid)
    return newest


def _row(value: Mapping[str, JsonValue]) -> Granted:
    record, salt, evidence, withdrawal = (value.get(n) for n in ("record", "salt", "evidence", "withdrawal"))
    status, logged = value.get("status"), value.get("logged", {})
    if not isinstance(status, str) or not isinstance(evidence, dict | None) or not isinstance(logged, dict):
        raise StoreCorrupt("a consent in the local store cannot be read")
    return Granted(
        signed=Signed.from_json(value.get("signed"), LIMITS.consent_bytes),
        status=status,
        registered=value.get("registered") is True,
        record=None if record is None else str(record),
        salt=None if salt is None else unb64u(salt, field="salt"),
        evidence=evidence,
        withdrawal=None if withdrawal is None else Signed.from_json(withdrawal, Withdrawal.LIMIT),
        logged={name: str(entry) for name, entry in logged.items()},
    )
