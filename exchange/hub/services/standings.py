"""Consents as a decision needs them: the artefact that a grant names, and where it stands at this moment.

Reading locks the families for share, in the order of their ids: a withdrawal has committed before, or waits
until this transaction ends. Nothing here decides; `exchange.consent` does. The SQL carries the caller, who
must be a party of every consent that it reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import BindParameter, Connection, bindparam, exists, literal_column, or_, select

from exchange.consent import Confirmation, ConsentStanding, Status
from exchange.hub.models.consents import consent, consent_family
from exchange.hub.models.envelopes import grant
from exchange.hub.sql import Call, Statement
from exchange_keys.jws import Signed
from exchange_schemas.consent import Consent
from exchange_schemas.envelope import GrantCore
from exchange_schemas.ids import AgencyId, Digest, EnvelopeId
from exchange_schemas.limits import LIMITS

# Consents that were read lately: the same bytes always say the same.
_KEPT: Final = 2048
# No consent has this digest.
_NO_CONSENT: Final = Digest("")
_ME: Final[BindParameter[Any]] = bindparam("me")
_NAMED: Final = consent.c.digest.in_(bindparam("digests", expanding=True))
_MINE: Final = or_(consent.c.iss == _ME, consent.c.rcp == _ME)
_LOCK: Final = Statement(
    select(
        consent_family.c.family,
        consent_family.c.status,
        consent_family.c.newest,
        consent_family.c.withdrawal,
    )
    .where(consent_family.c.family.in_(select(consent.c.family).where(_NAMED, _MINE)))
    .order_by(consent_family.c.family)
    .with_for_update(read=True)
)
# After the lock, in a statement of its own: PostgreSQL would else read what was there before it waited.
_READ: Final = Statement(
    select(consent.c.cid, consent.c.family, consent.c.digest, consent.c.jws).where(
        or_(_NAMED, consent.c.cid.in_(bindparam("newest", expanding=True))), _MINE
    )
)
_CLOCKS_S: Final = 240
_TAKEN: Final = grant.alias("taken_back")
_CONFIRMATIONS: Final = Statement(
    select(grant.c.core).where(
        grant.c.eid.in_(bindparam("eids", expanding=True)),
        grant.c.kind == "match_confirmation",
        grant.c.snd != grant.c.rcp,
        or_(grant.c.snd == _ME, grant.c.rcp == _ME),
        # An unmatch of either side takes back what was confirmed in the thread before it. What is dead was
        # never seen; clocks may be two minutes off on either side: in doubt it is taken back.
        ~exists().where(
            _TAKEN.c.kind == literal_column("'unmatch'"),
            _TAKEN.c.thread == grant.c.thread,
            _TAKEN.c.snd.in_((grant.c.snd, grant.c.rcp)),
            _TAKEN.c.rcp.in_((grant.c.snd, grant.c.rcp)),
            _TAKEN.c.snd != _TAKEN.c.rcp,
            _TAKEN.c.iat + _CLOCKS_S >= grant.c.iat,
        ),
    )
)


@dataclass(frozen=True, slots=True)
class Held:
    """A consent and where it stands; `withdrawal` is the signed one, as JSON bytes."""

    consent: Consent
    jws: bytes
    standing: ConsentStanding
    withdrawal: bytes | None

    def judged(self) -> tuple[Consent, ...]:
        """What a decision looks at: the consent, and the newest of its family where that is another."""
        return (self.consent,) if self.standing.newest is None else (self.consent, self.standing.newest)


def holding(caller: AgencyId, digests: Collection[Digest]) -> Call:
    """Locks the families of these consents that the caller is a party of; gives the rows for `held_in`."""
    return _LOCK.call(me=caller, digests=list(digests) or [_NO_CONSENT])


def held_in(
    conn: Connection, caller: AgencyId, digests: Collection[Digest], locked: list[Any]
) -> dict[Digest, Held]:
    """The consents with these payload digests, held until the transaction ends; `locked` are their families.

    One that does not exist, or is between others, is left out. One statement, none for no families.
    """
    families = {row.family: row for row in locked}
    if not families:
        return {}
    key = {"me": caller, "digests": list(digests)}
    newest = [row.newest for row in families.values()]
    rows = _READ.rows(conn, {**key, "newest": newest})
    items = {row.cid: _read(row.jws) for row in rows}
    return {
        row.digest: Held(
            consent=items[row.cid],
            jws=row.jws,
            standing=_standing(row.cid, families[row.family], items),
            withdrawal=families[row.family].withdrawal,
        )
        for row in rows
        if row.digest in digests and row.family in families
    }


def confirmations_of(
    conn: Connection, caller: AgencyId, consents: Iterable[Consent]
) -> dict[AgencyId, dict[EnvelopeId, Confirmation]]:
    """The match confirmations that consents name in `after`, by the agency on the caller's other side.

    One statement, none when no consent names any.
    """
    after = {eid for item in consents if item.after is not None for eid in item.after}
    found: dict[AgencyId, dict[EnvelopeId, Confirmation]] = {}
    if not after:
        return found
    for row in _CONFIRMATIONS.rows(conn, {"me": caller, "eids": list(after)}):
        item = _confirmation(GrantCore.from_bytes(row.core))
        other = item.recipient if item.sender == caller else item.sender
        found.setdefault(other, {})[item.eid] = item
    return found


@lru_cache(maxsize=_KEPT)
def _read(jws: bytes) -> Consent:
    return Consent.from_bytes(Signed.from_bytes(jws, LIMITS.consent_bytes).payload)


def _confirmation(core: GrantCore) -> Confirmation:
    return Confirmation(
        eid=core.eid,
        kind=core.kind,
        sender=core.snd,
        recipient=core.rcp,
        thread=core.thread,
        in_reply_to=core.in_reply_to,
    )


def _standing(cid: str, family: Any, items: dict[str, Consent]) -> ConsentStanding:
    if family.status == "withdrawn":
        return ConsentStanding(Status.WITHDRAWN)
    if family.newest == cid:
        return ConsentStanding(Status.ACTIVE)
    return ConsentStanding(Status.SUPERSEDED, items[family.newest])
