"""What a recipient verifies before it believes a grant: the numbered steps of protocol.md, "The recipient".

Everything is proved with the recipient's own copy of the directory, its own keys and the rules of consent;
the hub is believed in nothing. An error names what was omitted, swapped or added.
  (1) directory  the sender saw the directory that this agency sees
  (2) manifest   signed by exactly one key, an `envelope` key of the sender valid when it was signed
  (3) grant      stands in that manifest, byte for byte: same envelope, sender, deployment
  (4) core       it is the one asked for, for this agency, sealed to a key of ours, within its time
  (5) consent    the sender's, signed by its approvers, the one that the grant names; the decision again
  (6) parts      every one there, none added, each with its digest and length
  (7) open       the part keys, then each part: key, context and commitment
  (8) padding    proved and taken off (with (7), in exchange_keys)
  (9) schema     every value is what its field may hold
  (10) kind      the message has what its kind needs and nothing else
Steps (1) to (5) are here, (6) to (10) in opening.py. The chain of the sender is checked in receiving.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from exchange.agency.confirmations import confirmations
from exchange.agency.fetched import Fetched
from exchange.agency.parties import policy_of
from exchange.agency.signatures import signers_of, sole_signer
from exchange.consent import (
    ConsentStanding,
    Party,
    ShareRequest,
    Side,
    Status,
    check_approvers,
    check_named,
    check_role,
    decide,
    enforce,
)
from exchange.directory.state import APPROVER, ENVELOPE, AgencyStatus, DirectoryState
from exchange.member.session import Session
from exchange_keys.jws import Signed
from exchange_keys.manifest import check_grant
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.consent import Consent
from exchange_schemas.envelope import GrantCore, Manifest
from exchange_schemas.errors import (
    ConsentMismatch,
    ConsentUnknown,
    GrantExpired,
    Malformed,
    ManifestMismatch,
    RecipientDenied,
    SenderMismatch,
)
from exchange_schemas.ids import AgencyId
from exchange_schemas.limits import LIMITS


@dataclass(frozen=True, slots=True)
class Verified:
    """A grant that passed steps (1) to (5), with the consent that it rests on or points at."""

    core: GrantCore
    consent: Consent | None


def verify(session: Session, fetched: Fetched, *, withdrawn: bool, newest: Consent | None = None) -> Verified:
    """Steps (1) to (5). `withdrawn`: this agency knows that the consent was withdrawn.

    `newest`: what it knows to have superseded the consent, in the end.

    Raises: LogFork, LogStale (1); SigInvalid, KidUnknown, KeyWrongUse, KeyRevoked, KeyNotActive (2);
    ManifestMismatch, SenderMismatch (3); RecipientDenied, GrantExpired (4); the consent rules' errors (5).
    """
    state, now = session.directory.state(), session.now()
    # (2) The signature, before anything inside is believed.
    manifest = Manifest.from_bytes(fetched.manifest.payload)
    sole_signer(
        state,
        fetched.manifest,
        Manifest.typ,
        agency=manifest.snd,
        use=ENVELOPE,
        signed_at=manifest.iat,
        now=now,
    )
    # (3) These very bytes.
    core = check_grant(manifest, fetched.core, fetched.sealed)
    # (1) The same directory; the position stands in the core, so it can only be asked now.
    session.directory.check_position(core.dir)
    _check_core(session, fetched, core)
    consent = None
    if fetched.consent is not None:
        consent = _consent(session, fetched.consent)
    _check_consent(session, core, consent, fetched, standing=_standing(newest, withdrawn=withdrawn))
    return Verified(core, consent)


def _check_core(session: Session, fetched: Fetched, core: GrantCore) -> None:
    """(4)"""
    if core.gid != fetched.gid:
        raise ManifestMismatch("gid: the hub gave another grant than the one asked for", field="gid")
    if core.rcp != session.profile.agency:
        raise RecipientDenied("rcp: the grant is for another agency", field="rcp")
    if core.snd == core.rcp:
        raise SenderMismatch("snd: this is an agency's grant for itself", field="snd")
    session.enc_key(core.rcp_kid)
    if core.iat > session.now() + LIMITS.clock_leeway:
        raise Malformed("iat: in the future", field="iat")
    if core.exp <= session.now():
        raise GrantExpired("exp: the grant is past its time", field="exp")


def _consent(session: Session, signed: Signed) -> Consent:
    """The consent, signed by enough approvers of its issuer."""
    consent = Consent.from_bytes(signed.payload)
    signers = signers_of(
        session.directory.state(),
        signed,
        Consent.typ,
        agency=consent.iss,
        use=APPROVER,
        signed_at=consent.iat,
        now=session.now(),
    )
    check_approvers(consent, [key.kid if key.holder is None else key.holder for key in signers])
    return consent


def _standing(newest: Consent | None, *, withdrawn: bool) -> ConsentStanding:
    if withdrawn:
        return ConsentStanding(Status.WITHDRAWN)
    return ConsentStanding() if newest is None else ConsentStanding(Status.SUPERSEDED, newest)


def _check_consent(
    session: Session,
    core: GrantCore,
    consent: Consent | None,
    fetched: Fetched,
    *,
    standing: ConsentStanding,
) -> None:
    """(5) The grant names this very consent, and its rules allow the grant now."""
    if core.cns is not None:
        if fetched.consent is None:
            raise ConsentUnknown("cns: the hub left out the consent that the grant names", field="cns")
        check_named(core.cns, fetched.consent.payload)
    elif fetched.consent is not None:
        raise ConsentMismatch("cns: the hub added a consent that the grant does not name", field="cns")
    state, me = session.directory.state(), session.profile.agency
    after = [eid for one in (consent, standing.newest) if one is not None for eid in one.after or ()]
    decision = decide(
        ShareRequest.of(core),
        consent,
        standing,
        _party(state, me),
        session.now(),
        load_catalogue(),
        sender=_party(state, core.snd),
        side=Side.RECIPIENT,
        confirmations=confirmations(session.store, after, me=me, other=core.snd),
        policy=policy_of(state),
    )
    enforce(decision)
    check_role(core.kind, core.snd, consent, catalogue=load_catalogue())


def _party(state: DirectoryState, agency: AgencyId) -> Party:
    """Kind and country of an agency, whatever its standing: what a suspended sender signed before counts."""
    found = state.agency(agency)
    if found is None or found.status is AgencyStatus.EXPELLED:
        raise SenderMismatch("snd: not an agency of this exchange", field="snd")
    return Party(found.agency, found.kind, found.country, found.public_authority)
