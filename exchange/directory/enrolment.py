"""The enrolment bundle: an agency writes it, an operator checks it, two people compare the fingerprint.

The bundle only proves that whoever made it holds the root and that all of it fits together. That the root
is the agency's is proved by a person who reads the fingerprint aloud over a channel that is not this one;
nothing here may stand in for that.

The operator's checks, in order; an error names its step in `rule`:
  E1 form       MALFORMED          the bundle, for this deployment
  E2 signature  SENDER_MISMATCH    signed by both keys of the root inside, and by nobody else
  E3 events     the directory's rules (D02 to D12): one root-set of that root and key events of that agency,
                each signed by the root, every key with its bytes, usable, and never seen before
  E4 keys       PART_MISSING, MALFORMED  at least one approver, envelope, enc and auth key that is not over;
                no bytes left over
"""

from base64 import b32encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from exchange.directory.events import key_event, root_set_event
from exchange.directory.replay import Replay
from exchange.directory.state import (
    APPROVER,
    AUTH,
    ENC,
    ENVELOPE,
    AgencyState,
    AgencyStatus,
    DirectoryState,
    Governance,
)
from exchange.log.tree import Frontier
from exchange_keys import jws
from exchange_keys.jws import Signed
from exchange_keys.public import ED25519, ML_DSA_65, PublicKey
from exchange_keys.root import RootKey, RootPublic
from exchange_schemas.codec import unb64u
from exchange_schemas.enrolment import Enrolment, EnrolmentKey, Root
from exchange_schemas.errors import Malformed, PartMissing, SenderMismatch
from exchange_schemas.event import KeyEvent, RootSetEvent, read_event
from exchange_schemas.ids import AgencyId, Digest, Kid
from exchange_schemas.limits import LIMITS

TYP: Final = "hx-enrol"
NEEDED_USES: Final = (APPROVER, ENVELOPE, ENC, AUTH)
_GROUPS: Final = 8
_GROUP_CHARS: Final = 4


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to be enrolled: its use, and the time in which it may be used."""

    use: str
    public: PublicKey
    nbf: datetime
    exp: datetime
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class CheckedEnrolment:
    """A bundle that holds together: what it says, its events with their key bytes, what they add up to."""

    enrolment: Enrolment
    root: Digest
    fingerprint: str
    events: tuple[tuple[Signed, Mapping[Kid, bytes]], ...]
    agency: AgencyState


def fingerprint(root: Digest) -> str:
    """The first 160 bits of a root digest for reading aloud: 8 groups of 4 base32 characters.

    Example: `3F6Q-…`. The alphabet is A-Z and 2-7 (RFC 4648, 6). Raises: Malformed.
    """
    data = unb64u(root, field="root", length=32)[: _GROUPS * _GROUP_CHARS * 5 // 8]
    text = b32encode(data).decode("ascii")
    return "-".join(text[at : at + _GROUP_CHARS] for at in range(0, len(text), _GROUP_CHARS))


def build_bundle(
    *,
    origin: str,
    iat: datetime,
    agency: AgencyId,
    name: str,
    kind: str,
    country: str,
    public_authority: bool,
    contact: str,
    root: RootKey,
    keys: Sequence[NewKey],
) -> Signed:
    """The signed bundle of an agency with its root and its first keys.

    Raises: Malformed for what the schema refuses; the bundle is not checked as `check_bundle` does it.
    """
    root_event = root_set_event(origin=origin, iat=iat, agency=agency, root=root.public, signers=root.signers)
    key_events = [
        key_event(
            origin=origin,
            iat=iat,
            agency=agency,
            use=key.use,
            key=key.public,
            nbf=key.nbf,
            exp=key.exp,
            holder=key.holder,
            signers=root.signers,
        )
        for key in keys
    ]
    ed25519, mldsa65 = root.publics
    enrolment = Enrolment(
        origin=origin,
        agency=agency,
        name=name,
        kind=kind,
        country=country,
        public_authority=public_authority,
        contact=contact,
        root=Root(ed25519=ed25519.raw, mldsa65=mldsa65.raw),
        events=tuple(event.to_json() for event in (root_event, *key_events)),
        keys=tuple(EnrolmentKey(kid=key.public.kid, key=key.public.raw) for key in keys),
    )
    return jws.sign(enrolment.to_bytes(), TYP, root.signers)


def check_bundle(signed: Signed, *, origin: str, now: datetime) -> CheckedEnrolment:
    """Check a bundle by the steps above; then compare `fingerprint` with the agency by voice.

    Raises: the errors of the steps.
    """
    # E1
    enrolment = Enrolment.from_bytes(signed.payload)
    root = RootPublic(
        PublicKey(ED25519, enrolment.root.ed25519), PublicKey(ML_DSA_65, enrolment.root.mldsa65)
    )
    # E2
    root_keys = {key.kid: key for key in (root.ed25519, root.mldsa65)}
    signers = jws.verify(signed, TYP, origin=origin, key_for=root_keys.get)
    if set(signers) != set(root_keys):
        raise SenderMismatch("signatures: one of the two keys of the root is missing", rule="E2-signature")
    # E3
    replay = Replay(_before(enrolment, root.digest, now))
    bytes_of = {key.kid: key.key for key in enrolment.keys} | {root.mldsa65.kid: root.mldsa65.raw}
    events = []
    for number, value in enumerate(enrolment.events):
        event = Signed.from_json(dict(value), LIMITS.event_bytes)
        if {item.kid for item in event.signatures} != set(root_keys):
            raise SenderMismatch("events: one is not signed by the root alone", rule="E3-events")
        key_bytes = _named(event, bytes_of, enrolment.agency, first=number == 0)
        replay.apply(event, key_bytes, now=now)
        events.append((event, key_bytes))
    agency = replay.state().agencies[enrolment.agency]
    # E4
    _check_keys(agency, set(bytes_of), now)
    return CheckedEnrolment(enrolment, root.digest, fingerprint(root.digest), tuple(events), agency)


def _before(enrolment: Enrolment, root: Digest, now: datetime) -> DirectoryState:
    """A directory of this agency alone, as the admission that the bundle asks for would make it."""
    agency = AgencyState(
        agency=enrolment.agency,
        name=enrolment.name,
        kind=enrolment.kind,
        country=enrolment.country,
        public_authority=enrolment.public_authority,
        contact=enrolment.contact,
        status=AgencyStatus.ACTIVE,
        standing_since=now,
        root=root,
        keys=MappingProxyType({}),
    )
    return DirectoryState(
        origin=enrolment.origin,
        pin=None,
        governance=Governance(1, (), now),
        agencies={agency.agency: agency},
        owners={},
        frontier=Frontier.empty(),
    )


def _named(
    signed: Signed, bytes_of: Mapping[Kid, bytes], agency: AgencyId, *, first: bool
) -> Mapping[Kid, bytes]:
    """The bytes of the key that an event of a bundle names; only such events may be in one."""
    event = read_event(signed.payload)
    expected = isinstance(event, RootSetEvent) if first else isinstance(event, KeyEvent)
    if not isinstance(event, RootSetEvent | KeyEvent) or not expected or event.agency != agency:
        raise Malformed(
            "events: not one root-set and then keys of this agency", field="events", rule="E3-events"
        )
    kid = event.mldsa65 if isinstance(event, RootSetEvent) else event.kid
    raw = bytes_of.get(kid)
    return {} if raw is None else {kid: raw}


def _check_keys(agency: AgencyState, given: set[Kid], now: datetime) -> None:
    uses = {key.use for key in agency.keys.values() if key.exp is not None and now < key.exp}
    for use in NEEDED_USES:
        if use not in uses:
            raise PartMissing(f"keys: there is no key for the use '{use}'", field="keys", rule="E4-keys")
    if given - set(agency.keys):
        raise Malformed("keys: bytes that no event names", field="keys", rule="E4-keys")
