"""Who must have signed an event of the key directory: steps D06 to D08 of `exchange.directory.rules`.

A signature by somebody who may not sign is never ignored: it spoils the event, so that what an event
proves can be read from its signatures alone.
"""

from collections.abc import Mapping
from datetime import datetime

from exchange.directory.state import (
    APPROVER,
    ROOT,
    AgencyState,
    AgencyStatus,
    Governance,
    KeyState,
    KeyStatus,
)
from exchange_keys import jws
from exchange_keys.jws import Signed
from exchange_keys.public import PublicKey
from exchange_schemas.errors import KeyNotActive, KeyRevoked, KeyWrongUse, KidUnknown, SenderMismatch
from exchange_schemas.event import DrainEvent, KeyEvent, RevokeEvent
from exchange_schemas.ids import Kid

TYP = "hx-event"


def check_operators(signed: Signed, governance: Governance, *, origin: str) -> None:
    """At least k different operators signed, and nobody else.

    Raises: KidUnknown (D06), SenderMismatch (D08), and as `jws.verify` (D07).
    """
    for item in signed.signatures:
        if governance.key(item.kid) is None:
            raise KidUnknown("signature: not a key of an operator", field="kid", rule="D06-signer")
    kids = jws.verify(signed, TYP, origin=origin, key_for=governance.key)
    if len(set(kids)) < governance.k:
        raise SenderMismatch("signatures: fewer operators than must sign", rule="D08-quorum")


def check_roots(signed: Signed, agency: AgencyState, new: Mapping[Kid, PublicKey], *, origin: str) -> None:
    """Both keys of the new root signed, and both of the old one if there was one; nobody else.

    Raises: KidUnknown (D06), SenderMismatch (D08), and as `jws.verify` (D07).
    """
    wanted = dict(new) | {key.kid: key.public for key in agency.active_root()}
    for item in signed.signatures:
        if item.kid not in wanted:
            raise KidUnknown(
                "signature: not a key of the new or the old root", field="kid", rule="D06-signer"
            )
    kids = jws.verify(signed, TYP, origin=origin, key_for=wanted.get)
    if set(kids) != set(wanted):
        raise SenderMismatch("signatures: a key of the new or the old root is missing", rule="D08-quorum")


def check_key_signers(
    signed: Signed,
    event: KeyEvent | DrainEvent | RevokeEvent,
    agency: AgencyState,
    *,
    use: str,
    origin: str,
    now: datetime | None,
) -> None:
    """Both keys of the root signed, or for a key of `use` other than approver, active approvers alone.

    An approver must have been valid at the event's iat, and at `now` where there is a clock.
    Raises: KidUnknown, KeyWrongUse, KeyRevoked, KeyNotActive (D06), SenderMismatch (D08), `jws.verify` (D07).
    """
    signers = [_signer(agency, item.kid) for item in signed.signatures]
    by_root = all(key.use == ROOT for key in signers)
    if not by_root:
        for key in signers:
            _check_approver(key, event, agency, use=use, now=now)
    found = {key.kid: key.public for key in signers}
    kids = jws.verify(signed, TYP, origin=origin, key_for=found.get)
    if by_root and set(kids) != {key.kid for key in agency.active_root()}:
        raise SenderMismatch("signatures: one of the two keys of the root is missing", rule="D08-quorum")


def _signer(agency: AgencyState, kid: Kid) -> KeyState:
    key = agency.keys.get(kid)
    if key is None:
        raise KidUnknown("signature: not a key of this agency", field="kid", rule="D06-signer")
    if key.status is KeyStatus.REVOKED:
        raise KeyRevoked("signature: by a revoked key", field="kid", rule="D06-signer")
    return key


def _check_approver(
    key: KeyState,
    event: KeyEvent | DrainEvent | RevokeEvent,
    agency: AgencyState,
    *,
    use: str,
    now: datetime | None,
) -> None:
    if key.use != APPROVER or use == APPROVER:
        raise KeyWrongUse("signature: this key may not sign this event", field="kid", rule="D06-signer")
    if agency.status is not AgencyStatus.ACTIVE or key.status is not KeyStatus.ACTIVE:
        raise KeyNotActive("signature: by a key that is not active", field="kid", rule="D06-signer")
    if not key.in_time(event.iat) or (now is not None and not key.in_time(now)):
        raise KeyNotActive("signature: by a key outside its time", field="kid", rule="D06-signer")
