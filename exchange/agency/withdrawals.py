"""Withdrawals that the hub shows: believed by the issuer's approver signature, never by the hub's word.

That signature counts for good: neither the end of its key nor a suspension of its issuer takes it back.

A withdrawal that is verified counts here for good. What was opened under the consent is out of the issuer's
hands; this agency is told which of its copies that concerns.
"""

from __future__ import annotations

from exchange.agency import consent_rows, message_rows
from exchange.agency.consent_rows import RECEIVED
from exchange.agency.signatures import signers_once
from exchange.directory.state import APPROVER
from exchange.member.session import Session
from exchange_keys.jws import Signed
from exchange_schemas.consent import Withdrawal
from exchange_schemas.tombstone import Tombstone


def verified_withdrawal(session: Session, signed: Signed) -> Withdrawal:
    """The withdrawal, once approvers of its issuer are seen to have signed it.

    Raises: SigInvalid, KidUnknown, KeyWrongUse, KeyNotActive, Malformed, OriginMismatch.
    """
    withdrawal = Withdrawal.from_bytes(signed.payload)
    signers_once(
        session.directory.state(),
        signed,
        Withdrawal.typ,
        agency=withdrawal.iss,
        use=APPROVER,
        signed_at=min(withdrawal.iat, session.now()),
    )
    return withdrawal


def accept_withdrawal(session: Session, signed: Signed) -> list[str]:
    """Verify a withdrawal and mark the family's consents here; sentences about copies that rest on them.

    Raises: SigInvalid, KidUnknown, KeyWrongUse, KeyNotActive, Malformed, OriginMismatch.
    """
    withdrawal = verified_withdrawal(session, signed)
    alarms: list[str] = []
    with session.store.writing():
        for row in consent_rows.found(session.store, RECEIVED, "family", withdrawal.family):
            if row.consent.iss != withdrawal.iss or row.status == consent_rows.WITHDRAWN:
                continue
            consent_rows.put(session.store, RECEIVED, row.withdrawn_by(signed))
            copies = message_rows.found(session.store, "consent", row.consent.cid)
            if copies:
                alarms.append(
                    f"{withdrawal.iss} has withdrawn a consent ({withdrawal.reason}): "
                    f"{len(copies)} opened messages rest on it; delete what came of them"
                )
    return alarms


def bury(session: Session, stone: Tombstone) -> None:
    """Take a tombstone: its withdrawal, if it has one, is verified and kept."""
    if stone.withdrawal is not None:
        accept_withdrawal(session, Signed.from_json(dict(stone.withdrawal), Withdrawal.LIMIT))
