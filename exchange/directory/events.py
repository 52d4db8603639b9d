"""Making signed events of the key directory. Whether one may follow is for `exchange.directory.rules`.

Each function takes who signs as `signers`, in any order; `iat` is when, aware UTC, whole seconds. Only public
keys ever enter an event.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from exchange.directory.signers import TYP
from exchange_keys import jws
from exchange_keys.jws import Signed
from exchange_keys.public import PublicKey
from exchange_keys.root import RootPublic, Signer
from exchange_schemas.agreement import SharingAgreement
from exchange_schemas.codec import JsonValue, unb64u
from exchange_schemas.event import (
    AdmitEvent,
    AgreementsEvent,
    DrainEvent,
    Event,
    ExpelEvent,
    GovernanceEvent,
    KeyEvent,
    Operator,
    ResumeEvent,
    RevokeEvent,
    RootSetEvent,
    SuspendEvent,
)
from exchange_schemas.ids import AgencyId, Digest, Kid, check_kid
from exchange_schemas.limits import LIMITS


def sign_event(event: Event, signers: Sequence[Signer]) -> Signed:
    """The event signed by each of `signers`. Raises: Malformed for what no reader would accept."""
    return jws.sign(event.to_bytes(), TYP, signers)


def key_bytes_of(*keys: PublicKey) -> Mapping[Kid, bytes]:
    """The raw keys by kid, as they go along with an event that names them."""
    return {key.kid: key.raw for key in keys}


def read_key_bytes(keys: Mapping[str, JsonValue]) -> dict[Kid, bytes]:
    """The raw keys of a JSON object that goes along with an event. Raises: Malformed."""
    return {
        check_kid(kid, field="keys"): unb64u(key, field="keys", limit=LIMITS.public_key_bytes)
        for kid, key in keys.items()
    }


def operator(name: str, public: PublicKey) -> Operator:
    """An operator of a governance event. `public` is an Ed25519 key."""
    return Operator(name=name, kid=public.kid, key=public.raw)


def governance_event(
    *, origin: str, iat: datetime, k: int, operators: Sequence[Operator], signers: Sequence[Signer]
) -> Signed:
    """`k` of `operators` govern from now on; signed by k of the previous ones, the first by k of its own."""
    return sign_event(GovernanceEvent(origin=origin, iat=iat, k=k, operators=tuple(operators)), signers)


def agreements_event(
    *,
    origin: str,
    iat: datetime,
    version: int,
    agreements: Sequence[SharingAgreement],
    signers: Sequence[Signer],
) -> Signed:
    """These are the sharing agreements from now on; `version` is the next one; signed by k operators."""
    event = AgreementsEvent(origin=origin, iat=iat, version=version, agreements=tuple(agreements))
    return sign_event(event, signers)


def admit_event(
    *,
    origin: str,
    iat: datetime,
    agency: AgencyId,
    name: str,
    kind: str,
    country: str,
    public_authority: bool,
    contact: str,
    root: Digest,
    signers: Sequence[Signer],
) -> Signed:
    """An agency is admitted under its root digest; signed by k operators."""
    event = AdmitEvent(
        origin=origin,
        iat=iat,
        agency=agency,
        name=name,
        kind=kind,
        country=country,
        public_authority=public_authority,
        contact=contact,
        root=root,
    )
    return sign_event(event, signers)


def root_set_event(
    *, origin: str, iat: datetime, agency: AgencyId, root: RootPublic, signers: Sequence[Signer]
) -> Signed:
    """The agency's root is `root`; signed by both its keys and, if there was one, both of the old root."""
    event = RootSetEvent(
        origin=origin, iat=iat, agency=agency, ed25519=root.ed25519.raw, mldsa65=root.mldsa65.kid
    )
    return sign_event(event, signers)


def key_event(
    *,
    origin: str,
    iat: datetime,
    agency: AgencyId,
    use: str,
    key: PublicKey,
    nbf: datetime,
    exp: datetime,
    signers: Sequence[Signer],
    holder: str | None = None,
) -> Signed:
    """A new key for one use, valid for nbf <= t < exp; `holder` is a pseudonym, needed for an approver."""
    event = KeyEvent(
        origin=origin,
        iat=iat,
        agency=agency,
        use=use,
        alg=key.alg,
        kid=key.kid,
        nbf=nbf,
        exp=exp,
        holder=holder,
    )
    return sign_event(event, signers)


def drain_event(
    *, origin: str, iat: datetime, agency: AgencyId, kid: Kid, until: datetime, signers: Sequence[Signer]
) -> Signed:
    """Nothing new for this key; its holder opens with it until `until`."""
    return sign_event(DrainEvent(origin=origin, iat=iat, agency=agency, kid=kid, until=until), signers)


def revoke_event(
    *, origin: str, iat: datetime, agency: AgencyId, kid: Kid, reason: str, signers: Sequence[Signer]
) -> Signed:
    """The end of a key; `reason` is a revoke_reason of the catalogue."""
    return sign_event(RevokeEvent(origin=origin, iat=iat, agency=agency, kid=kid, reason=reason), signers)


def suspend_event(
    *, origin: str, iat: datetime, agency: AgencyId, reason: str, signers: Sequence[Signer]
) -> Signed:
    """The agency takes no part for now; `reason` is a standing_reason; signed by k operators."""
    return sign_event(SuspendEvent(origin=origin, iat=iat, agency=agency, reason=reason), signers)


def resume_event(*, origin: str, iat: datetime, agency: AgencyId, signers: Sequence[Signer]) -> Signed:
    """The agency takes part again; signed by k operators."""
    return sign_event(ResumeEvent(origin=origin, iat=iat, agency=agency), signers)


def expel_event(
    *, origin: str, iat: datetime, agency: AgencyId, reason: str, signers: Sequence[Signer]
) -> Signed:
    """The agency takes no part any more; `reason` is a standing_reason; signed by k operators."""
    return sign_event(ExpelEvent(origin=origin, iat=iat, agency=agency, reason=reason), signers)
