"""A small deployment for the directory's tests: operators, agencies, and a clock that goes on by itself.

Keys come from fixed seeds. Nothing here checks a rule; the tests do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256

from exchange.directory import events
from exchange.directory.state import APPROVER, AUTH, ENC, ENVELOPE, DirectoryState
from exchange_keys.auth_key import AuthKey
from exchange_keys.jws import Signed
from exchange_keys.public import PublicKey
from exchange_keys.root import RootKey, Signer
from exchange_keys.sealing import EncKey
from exchange_keys.signing import SigningKey
from exchange_schemas.event import Operator
from exchange_schemas.ids import AgencyId, Kid
from tests.unit.directory.applying import apply_event

ORIGIN = "homeward.test"
START = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)
ALPHA, BETA, GAMMA = AgencyId("alpha"), AgencyId("beta"), AgencyId("gamma")
Event = tuple[Signed, Mapping[Kid, bytes]]


def seed(*names: str) -> bytes:
    return sha256("/".join(names).encode()).digest()


@cache
def signing_key(*names: str) -> SigningKey:
    return SigningKey.from_seed(seed(*names))


@cache
def root_key(*names: str) -> RootKey:
    return RootKey.from_seeds(ed25519=seed("ed", *names), mldsa65=seed("ml", *names))


@cache
def enc_key(*names: str) -> PublicKey:
    return EncKey.from_seed(seed(*names)).public


@cache
def auth_key(*_names: str) -> PublicKey:
    return AuthKey.generate("ES256").public


def public_key(use: str, *names: str) -> PublicKey:
    """The public key of an agency for one use, by any names."""
    if use == ENC:
        return enc_key(use, *names)
    if use == AUTH:
        return auth_key(use, *names)
    return signing_key(use, *names).public


def signers_of(*roots: RootKey) -> list[Signer]:
    return [signer for root in roots for signer in root.signers]


@dataclass
class Deployment:
    """Events in their order, and the state that they add up to."""

    k: int = 2
    operators: tuple[str, ...] = ("ann", "bob", "cem")
    now: datetime = START
    log: list[Event] = field(default_factory=list)
    state: DirectoryState = field(default_factory=lambda: DirectoryState.empty(ORIGIN, pin=None))

    def tick(self) -> datetime:
        self.now += timedelta(hours=1)
        return self.now

    def quorum(self, *names: str) -> list[Signer]:
        return [signing_key("operator", name) for name in names or self.operators[: self.k]]

    def listed(self, *names: str) -> list[Operator]:
        return [
            events.operator(name, signing_key("operator", name).public) for name in names or self.operators
        ]

    def apply(self, signed: Signed, keys: Mapping[Kid, bytes] | None = None) -> None:
        given = {} if keys is None else keys
        self.state = apply_event(self.state, signed, given)
        self.log.append((signed, given))

    # Making events, without applying them.

    def governance(self, **changes: object) -> Signed:
        values: dict[str, object] = {
            "origin": ORIGIN,
            "iat": self.tick(),
            "k": self.k,
            "operators": self.listed(),
            "signers": self.quorum(),
        }
        return events.governance_event(**(values | changes))  # type: ignore[arg-type]

    def admit(self, agency: AgencyId = ALPHA, **changes: object) -> Signed:
        values: dict[str, object] = {
            "origin": ORIGIN,
            "iat": self.tick(),
            "agency": agency,
            "name": f"Agency {agency}",
            "kind": "ngo",
            "country": "DE",
            "public_authority": False,
            "contact": f"office@{agency}.test",
            "root": root_key(agency).public.digest,
            "signers": self.quorum(),
        }
        return events.admit_event(**(values | changes))  # type: ignore[arg-type]

    def root_set(self, agency: AgencyId = ALPHA, *, names: Sequence[str] = (), **changes: object) -> Event:
        root = root_key(*(names or (agency,)))
        values: dict[str, object] = {
            "origin": ORIGIN,
            "iat": self.tick(),
            "agency": agency,
            "root": root.public,
            "signers": root.signers,
        }
        signed = events.root_set_event(**(values | changes))  # type: ignore[arg-type]
        return signed, events.key_bytes_of(root.public.mldsa65)

    def key(self, agency: AgencyId = ALPHA, use: str = ENC, *, name: str = "1", **changes: object) -> Event:
        key = public_key(use, agency, name)
        values: dict[str, object] = {
            "origin": ORIGIN,
            "iat": self.tick(),
            "agency": agency,
            "use": use,
            "key": key,
            "nbf": START,
            "exp": START + YEAR,
            "signers": root_key(agency).signers,
            "holder": f"{agency}-{name}" if use == APPROVER else None,
        }
        return events.key_event(**(values | changes)), events.key_bytes_of(key)  # type: ignore[arg-type]

    def drain(
        self, agency: AgencyId = ALPHA, use: str = ENC, *, name: str = "1", **changes: object
    ) -> Signed:
        values: dict[str, object] = {
            "origin": ORIGIN,
            "iat": self.tick(),
            "agency": agency,
            "kid": public_key(use, agency, name).kid,
            "until": START + YEAR / 2,
            "signers": root_key(agency).signers,
        }
        return events.drain_event(**(values | changes))  # type: ignore[arg-type]

    def revoke(
        self, agency: AgencyId = ALPHA, use: str = ENC, *, name: str = "1", **changes: object
    ) -> Signed:
        values: dict[str, object] = {
            "origin": ORIGIN,
            "iat": self.tick(),
            "agency": agency,
            "kid": public_key(use, agency, name).kid,
            "reason": "compromised",
            "signers": root_key(agency).signers,
        }
        return events.revoke_event(**(values | changes))  # type: ignore[arg-type]

    def suspend(self, agency: AgencyId = ALPHA, **changes: object) -> Signed:
        values: dict[str, object] = {
            "origin": ORIGIN,
            "iat": self.tick(),
            "agency": agency,
            "reason": "security",
            "signers": self.quorum(),
        }
        return events.suspend_event(**(values | changes))  # type: ignore[arg-type]

    def resume(self, agency: AgencyId = ALPHA, **changes: object) -> Signed:
        values: dict[str, object] = {
            "origin": ORIGIN,
            "iat": self.tick(),
            "agency": agency,
            "signers": self.quorum(),
        }
        return events.resume_event(**(values | changes))  # type: ignore[arg-type]

    def expel(self, agency: AgencyId = ALPHA, **changes: object) -> Signed:
        values: dict[str, object] = {
            "origin": ORIGIN,
            "iat": self.tick(),
            "agency": agency,
            "reason": "agreement_ended",
            "signers": self.quorum(),
        }
        return events.expel_event(**(values | changes))  # type: ignore[arg-type]

    # Whole stretches of a deployment's life.

    def begin(self) -> "Deployment":
        self.apply(self.governance())
        return self

    def join(self, agency: AgencyId = ALPHA) -> "Deployment":
        """Admit an agency with its root and one key of every use."""
        self.apply(self.admit(agency))
        self.apply(*self.root_set(agency))
        for use in (APPROVER, ENVELOPE, ENC, AUTH):
            self.apply(*self.key(agency, use))
        return self
