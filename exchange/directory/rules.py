"""The rules of the key directory: which event may follow, who must have signed it, what it changes. Pure.

A rule sees one event, the governance, and the one agency that the event is about; so the hub can decide
with a few rows and a client with its whole copy, by the same code. Nothing here may trust that an event is
already in a log: a log proves that everybody sees the same events, not that they are lawful.

Moves. Governance: made once by itself, then replaced by k of the previous operators. Agency: admitted ->
active <-> suspended -> expelled, the last for good. Root: none -> the admitted one -> replaced by root-set,
signed by old and new, both algorithms each. Key: logged -> draining -> revoked, or revoked at once; never
back, and its kid is never used again, by anybody. Agreements: none -> version 1 -> 2 -> …

The steps, in order. An error names its step in `rule`, but D07 and D10, where it is that of the check itself:
  D01-first      LOG_FORK, CONFLICT   governance comes first, and the first one is the pinned one
  D02-admitted   CONFLICT         the agency is known (for admit: it is not)
  D03-standing   CONFLICT         the move is allowed. Expelled: none is. Suspended: resume, expel, and revoke
  D04-newer      REPLAY, CONFLICT governance, suspend, resume, expel: signed after the last of their sort;
                                  with a clock: no event is signed more than 120 s ahead of it
                                  (agreements: D16-version instead)
  D05-key-bytes  PART_MISSING, MALFORMED   the bytes of every new key are there and match its kid; no others
  D06-signer     KID_UNKNOWN, KEY_WRONG_USE, KEY_REVOKED, KEY_NOT_ACTIVE   each signer may sign this:
                 governance, admit, suspend, resume, expel, agreements   operators (the first governance:
                                                             its own)
                 root-set                                    the new root and, if there was one, the old
                 key, drain, revoke of an approver key       the root
                 key, drain, revoke of any other key         the root, or approvers that are active
                 anything while suspended                    the root
  D07-signature  MALFORMED, VERSION, ORIGIN, SIG_INVALID     every signature verifies, for this deployment
  D08-quorum     SENDER_MISMATCH  enough signed: k operators; of a root, both keys
  D09-new-kid    REPLAY           a new key's kid was never an agency's here, nor is it an operator's now; an
                                  operator's key was never an agency's
  D10-key        KEY_WRONG_USE, MALFORMED  a new key fits its use and works (a trial seal for enc)
  D11-holder     MALFORMED        an approver key names its holder, by a pseudonym without spaces
  D12-root       MANIFEST_MISMATCH         the first root-set has the admitted digest
  D13-drain      CONFLICT         the key is active, and `until` is not after its end
  D14-revoke     CONFLICT         the key is not revoked yet
  D16-version    CONFLICT         agreements: the version is the next one
And for whoever takes events from an agency:
  D15-author     SENDER_MISMATCH  it is a root-set, key, drain or revoke of its own
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

from exchange.directory.signers import check_key_signers, check_operators, check_roots
from exchange.directory.state import (
    APPROVER,
    ROOT,
    AgencyState,
    AgencyStatus,
    Agreements,
    Governance,
    KeyState,
    KeyStatus,
)
from exchange_keys.jws import Signed
from exchange_keys.public import ED25519, ML_DSA_65, PublicKey
from exchange_keys.registration import check_key_for_use
from exchange_keys.root import root_digest
from exchange_schemas.codec import b64u, sha256
from exchange_schemas.errors import (
    Conflict,
    KeyWrongUse,
    KidUnknown,
    LogFork,
    Malformed,
    ManifestMismatch,
    PartMissing,
    Replay,
    SenderMismatch,
)
from exchange_schemas.event import (
    AdmitEvent,
    AgreementsEvent,
    DrainEvent,
    Event,
    ExpelEvent,
    GovernanceEvent,
    KeyEvent,
    ResumeEvent,
    RevokeEvent,
    RootSetEvent,
    SuspendEvent,
    read_event,
)
from exchange_schemas.ids import AgencyId, Digest, Kid
from exchange_schemas.limits import LIMITS

_HOLDER: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Scene:
    """What an event meets: `agency` is the one that it is about (see `subject_of`), None when unknown.

    `kid_taken` tells whether an agency key, of any agency and standing, has this kid. `pin` may be None only
    for who makes the first event. `now` is the clock of who takes the event; None in a replay.
    """

    origin: str
    pin: Digest | None
    governance: Governance | None
    agency: AgencyState | None
    kid_taken: Callable[[Kid], bool]
    now: datetime | None = None
    agreements: Agreements | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What an event changes: governance, the agreements, or the agency as it is then with its new keys."""

    event: Event
    governance: Governance | None = None
    agency: AgencyState | None = None
    added: tuple[KeyState, ...] = ()
    agreements: Agreements | None = None


def subject_of(event: Event) -> AgencyId | None:
    """The agency that an event is about; None for governance and agreements."""
    return None if isinstance(event, GovernanceEvent | AgreementsEvent) else event.agency


def governance_pin(event: Signed) -> Digest:
    """What a client pins out of band: the digest of the first governance event's payload."""
    return Digest(b64u(sha256(event.payload)))


def check_author(event: Event, caller: AgencyId) -> None:
    """D15: an agency may bring only root-set, key, drain and revoke events, and only of its own.

    Raises: SenderMismatch.
    """
    own = isinstance(event, RootSetEvent | KeyEvent | DrainEvent | RevokeEvent) and event.agency == caller
    if not own:
        raise SenderMismatch("event: not one that this agency may log", rule="D15-author")


def change_of(signed: Signed, key_bytes: Mapping[Kid, bytes], scene: Scene) -> Change:
    """Check one event by all the rules and give what it changes; `key_bytes` are the raw new keys by kid.

    Raises: the errors of the steps at the top of this file.
    """
    return change_by(read_event(signed.payload), signed, key_bytes, scene)


def change_by(event: Event, signed: Signed, key_bytes: Mapping[Kid, bytes], scene: Scene) -> Change:
    """As `change_of`, for who has read the event already: `event` must be that of `signed`'s payload."""
    if scene.now is not None and event.iat > scene.now + LIMITS.clock_leeway:
        raise Conflict("iat: the event is signed in the future", field="iat", rule="D04-newer")
    if isinstance(event, GovernanceEvent):
        return _governance(event, signed, key_bytes, scene)
    governance = scene.governance
    if governance is None:
        raise Conflict("event: the first one must be governance", field="event", rule="D01-first")
    if isinstance(event, AgreementsEvent):
        return _agreements(event, signed, key_bytes, scene, governance)
    if isinstance(event, AdmitEvent):
        return _admit(event, signed, key_bytes, scene, governance)
    agency = scene.agency
    if agency is None:
        raise Conflict("agency: not admitted", field="agency", rule="D02-admitted")
    _check_move(event, agency)
    if isinstance(event, SuspendEvent | ResumeEvent | ExpelEvent):
        _no_keys(key_bytes)
        check_operators(signed, governance, origin=scene.origin)
        return _standing(event, agency)
    if isinstance(event, RootSetEvent):
        return _root_set(event, signed, key_bytes, scene, agency)
    if isinstance(event, KeyEvent):
        return _key(event, signed, key_bytes, scene, agency)
    return _end_of_key(event, signed, key_bytes, scene, agency)


# -- operators' events ---------------------------------------------------------------------------------


def _governance(
    event: GovernanceEvent, signed: Signed, key_bytes: Mapping[Kid, bytes], scene: Scene
) -> Change:
    after = Governance(event.k, event.operators, event.iat)
    before = scene.governance
    if before is None and scene.pin not in (None, governance_pin(signed)):
        raise LogFork("governance: not the one that was pinned", rule="D01-first")
    if before is not None:
        _check_newer(event.iat, before.since)
    _no_keys(key_bytes)
    check_operators(signed, after if before is None else before, origin=scene.origin)
    for operator in event.operators:
        if scene.kid_taken(operator.kid):
            raise Replay("operators: a key that an agency has had", field="operators", rule="D09-new-kid")
        check_key_for_use("operator", PublicKey(ED25519, operator.key))
    return Change(event, governance=after)


def _agreements(
    event: AgreementsEvent,
    signed: Signed,
    key_bytes: Mapping[Kid, bytes],
    scene: Scene,
    governance: Governance,
) -> Change:
    before = 0 if scene.agreements is None else scene.agreements.version
    if event.version != before + 1:
        raise Conflict(
            f"version: the next one is {before + 1}",
            field="version",
            rule="D16-version",
            hint="another version was signed meanwhile; look at it, then sign again",
        )
    _no_keys(key_bytes)
    check_operators(signed, governance, origin=scene.origin)
    return Change(event, agreements=Agreements(event.version, event.agreements))


def _admit(
    event: AdmitEvent, signed: Signed, key_bytes: Mapping[Kid, bytes], scene: Scene, governance: Governance
) -> Change:
    if scene.agency is not None:
        raise Conflict("agency: admitted before", field="agency", rule="D02-admitted")
    _no_keys(key_bytes)
    check_operators(signed, governance, origin=scene.origin)
    agency = AgencyState(
        agency=event.agency,
        name=event.name,
        kind=event.kind,
        country=event.country,
        public_authority=event.public_authority,
        contact=event.contact,
        status=AgencyStatus.ACTIVE,
        standing_since=event.iat,
        root=event.root,
        keys=MappingProxyType({}),
    )
    return Change(event, agency=agency)


def _standing(event: SuspendEvent | ResumeEvent | ExpelEvent, agency: AgencyState) -> Change:
    status = _STATUS_AFTER[type(event)]
    return Change(event, agency=replace(agency, status=status, standing_since=event.iat))


_STATUS_AFTER: Final[Mapping[type[Event], AgencyStatus]] = MappingProxyType(
    {
        SuspendEvent: AgencyStatus.SUSPENDED,
        ResumeEvent: AgencyStatus.ACTIVE,
        ExpelEvent: AgencyStatus.EXPELLED,
    }
)


def _check_move(event: Event, agency: AgencyState) -> None:
    """D03 and, for the operators' events, D04."""
    if agency.status is AgencyStatus.EXPELLED:
        raise Conflict("agency: expelled, for good", field="agency", rule="D03-standing")
    suspended = agency.status is AgencyStatus.SUSPENDED
    allowed = (
        isinstance(event, ResumeEvent | ExpelEvent | RevokeEvent)
        if suspended
        else not isinstance(event, ResumeEvent)
    )
    if not allowed:
        state = "suspended" if suspended else "not suspended"
        raise Conflict(f"agency: {state}", field="agency", rule="D03-standing")
    if isinstance(event, SuspendEvent | ResumeEvent | ExpelEvent):
        _check_newer(event.iat, agency.standing_since)


def _check_newer(iat: datetime, since: datetime) -> None:
    if iat <= since:
        raise Replay("iat: signed before the last event of its sort", field="iat", rule="D04-newer")


# -- an agency's events --------------------------------------------------------------------------------


def _root_set(
    event: RootSetEvent, signed: Signed, key_bytes: Mapping[Kid, bytes], scene: Scene, agency: AgencyState
) -> Change:
    ed25519 = PublicKey(ED25519, event.ed25519)
    # The Ed25519 half stands in the event itself; its bytes may come along, like those of any new key.
    mldsa65 = _new_key(ML_DSA_65, event.mldsa65, key_bytes, also={ed25519.kid: ed25519.raw})
    new = {ed25519.kid: ed25519, mldsa65.kid: mldsa65}
    check_roots(signed, agency, new, origin=scene.origin)
    for public in new.values():
        _check_new(public, ROOT, scene)
    digest = root_digest(ed25519.raw, mldsa65.raw)
    old = agency.active_root()
    if not old and digest != agency.root:
        raise ManifestMismatch("root: not the one that was admitted", field="root", rule="D12-root")
    added = tuple(KeyState(kid, agency.agency, ROOT, key, KeyStatus.ACTIVE) for kid, key in new.items())
    ended = (replace(key, status=KeyStatus.REVOKED) for key in old)
    return Change(event, agency=replace(_with_keys(agency, (*ended, *added)), root=digest), added=added)


def _key(
    event: KeyEvent, signed: Signed, key_bytes: Mapping[Kid, bytes], scene: Scene, agency: AgencyState
) -> Change:
    public = _new_key(event.alg, event.kid, key_bytes)
    check_key_signers(signed, event, agency, use=event.use, origin=scene.origin, now=scene.now)
    _check_new(public, event.use, scene)
    if event.use == APPROVER and event.holder is None:
        raise Malformed("holder: an approver key needs one", field="holder", rule="D11-holder")
    if event.holder is not None and _HOLDER.fullmatch(event.holder) is None:
        raise Malformed("holder: not a pseudonym without spaces", field="holder", rule="D11-holder")
    key = KeyState(
        event.kid,
        agency.agency,
        event.use,
        public,
        KeyStatus.ACTIVE,
        nbf=event.nbf,
        exp=event.exp,
        holder=event.holder,
    )
    return Change(event, agency=_with_keys(agency, (key,)), added=(key,))


def _end_of_key(
    event: DrainEvent | RevokeEvent,
    signed: Signed,
    key_bytes: Mapping[Kid, bytes],
    scene: Scene,
    agency: AgencyState,
) -> Change:
    _no_keys(key_bytes)
    key = agency.keys.get(event.kid)
    if key is None:
        raise KidUnknown("kid: the agency has no such key", field="kid", rule="D06-signer")
    if key.use == ROOT:
        raise KeyWrongUse("kid: a root ends by root-set only", field="kid", rule="D06-signer")
    check_key_signers(signed, event, agency, use=key.use, origin=scene.origin, now=scene.now)
    if isinstance(event, RevokeEvent):
        if key.status is KeyStatus.REVOKED:
            raise Conflict("kid: the key is revoked already", field="kid", rule="D14-revoke")
        return Change(event, agency=_with_keys(agency, (replace(key, status=KeyStatus.REVOKED),)))
    if key.status is not KeyStatus.ACTIVE:
        raise Conflict(f"kid: the key is {key.status} already", field="kid", rule="D13-drain")
    if key.exp is None or event.until > key.exp:
        raise Conflict("until: after the end of the key", field="until", rule="D13-drain")
    drained = replace(key, status=KeyStatus.DRAINING, until=event.until)
    return Change(event, agency=_with_keys(agency, (drained,)))


def _with_keys(agency: AgencyState, changed: Iterable[KeyState]) -> AgencyState:
    keys = {**agency.keys, **{key.kid: key for key in changed}}
    return replace(agency, keys=MappingProxyType(keys))


def _no_keys(key_bytes: Mapping[Kid, bytes]) -> None:
    if key_bytes:
        raise Malformed("keys: the event names no new key", field="keys", rule="D05-key-bytes")


def _new_key(
    alg: str, kid: Kid, key_bytes: Mapping[Kid, bytes], *, also: Mapping[Kid, bytes] = MappingProxyType({})
) -> PublicKey:
    """D05: the key of `kid`; `also` may come with it, and nothing else may."""
    raw = key_bytes.get(kid)
    if raw is None:
        raise PartMissing("keys: the bytes of the new key are missing", field="keys", rule="D05-key-bytes")
    public = PublicKey(alg, raw)
    rest = {name: data for name, data in key_bytes.items() if name != kid}
    if public.kid != kid or not rest.items() <= also.items():
        raise Malformed("keys: not the keys that the event names", field="keys", rule="D05-key-bytes")
    return public


def _check_new(public: PublicKey, use: str, scene: Scene) -> None:
    """D09 and D10."""
    governs = scene.governance is not None and scene.governance.key(public.kid) is not None
    if governs or scene.kid_taken(public.kid):
        raise Replay("kid: a key that was used before", field="kid", rule="D09-new-kid")
    check_key_for_use(use, public)
