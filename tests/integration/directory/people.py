"""Operators and agencies to test with: they hold real keys and sign real events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from exchange.directory.enrolment import NewKey, build_bundle, fingerprint
from exchange.directory.events import (
    admit_event,
    drain_event,
    expel_event,
    governance_event,
    key_event,
    operator,
    resume_event,
    revoke_event,
    root_set_event,
    suspend_event,
)
from exchange.hub.services.agencies import admit
from exchange.hub.services.directory_read import Member, asking_client, client_in
from exchange.hub.services.hub import Hub
from exchange.hub.services.operators import decide
from exchange.hub.services.release import Released
from exchange.hub.sql import together
from exchange_keys.auth_key import AuthKey
from exchange_keys.jws import Signed
from exchange_keys.public import PublicKey
from exchange_keys.root import RootKey
from exchange_keys.sealing import EncKey
from exchange_keys.signing import SigningKey
from exchange_schemas.ids import AgencyId, Kid

ORIGIN = "exchange.example"
LIFE = timedelta(days=365)


def second(when: datetime | None = None) -> datetime:
    """An instant in whole seconds, as events have it."""
    return (datetime.now(UTC) if when is None else when).replace(microsecond=0)


@dataclass(frozen=True)
class Agency:
    """An agency with its root and one key of each use."""

    id: AgencyId
    root: RootKey = field(default_factory=RootKey.generate)
    approver: SigningKey = field(default_factory=SigningKey.generate)
    envelope: SigningKey = field(default_factory=SigningKey.generate)
    enc: EncKey = field(default_factory=EncKey.generate)
    auth: AuthKey = field(default_factory=lambda: AuthKey.generate("ES256"))

    @classmethod
    def named(cls, name: str) -> "Agency":
        return cls(AgencyId(name))

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.root.public.digest)

    def bundle(self, *, origin: str = ORIGIN, **changes: Any) -> Signed:
        """What it sends to the operator."""
        iat = second()
        new = [
            ("approver", self.approver.public, "h-1"),
            ("envelope", self.envelope.public, None),
            ("enc", self.enc.public, None),
            ("auth", self.auth.public, None),
        ]
        facts: dict[str, Any] = {
            "agency": self.id,
            "name": f"The {self.id}",
            "kind": "ngo",
            "country": "XK",
            "public_authority": False,
            "contact": f"desk@{self.id}.example",
            "keys": [
                NewKey(use, public, nbf=iat - timedelta(seconds=120), exp=iat + LIFE, holder=holder)
                for use, public, holder in new
            ],
        }
        return build_bundle(origin=origin, iat=iat, root=self.root, **(facts | changes))

    def key(self, public: PublicKey, use: str, *, by_root: bool = False, **changes: Any) -> Signed:
        """An event that brings a key, signed by the approver unless `by_root`."""
        iat = second()
        facts = {
            "iat": iat,
            "nbf": iat - timedelta(seconds=120),
            "exp": iat + LIFE,
            "agency": self.id,
        } | changes
        signers = self.root.signers if by_root else [self.approver]
        return key_event(origin=ORIGIN, use=use, key=public, signers=signers, **facts)

    def drain(self, kid: Kid) -> Signed:
        until = second() + timedelta(days=7)
        return drain_event(
            origin=ORIGIN, iat=second(), agency=self.id, kid=kid, until=until, signers=[self.approver]
        )

    def revoke(self, kid: Kid, *, by_root: bool = False) -> Signed:
        signers = self.root.signers if by_root else [self.approver]
        return revoke_event(
            origin=ORIGIN, iat=second(), agency=self.id, kid=kid, reason="rotated", signers=signers
        )

    def new_root(self, root: RootKey) -> Signed:
        """A root-set that replaces its root."""
        signers = [*root.signers, *self.root.signers]
        return root_set_event(origin=ORIGIN, iat=second(), agency=self.id, root=root.public, signers=signers)


@dataclass
class Operators:
    """Those who govern a hub. `iat` moves on by itself, since an operators' event must follow the last."""

    hub: Hub
    keys: Mapping[str, SigningKey]
    k: int = 1
    last: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    @classmethod
    def of(cls, hub: Hub, *names: str, k: int = 1) -> "Operators":
        """Govern a hub that has no operator yet."""
        found = cls(hub, {name: SigningKey.generate() for name in names}, k)
        found.govern()
        return found

    def iat(self) -> datetime:
        self.last += timedelta(seconds=1)
        return self.last

    def signers(self, names: Sequence[str] | None = None) -> list[SigningKey]:
        return [self.keys[name] for name in (list(self.keys)[: self.k] if names is None else names)]

    def govern(self) -> Released:
        return decide(self.hub, self.governance())

    def governance(self, **changes: Any) -> Signed:
        named = [operator(name, key.public) for name, key in self.keys.items()]
        facts = {"k": self.k, "operators": named, "signers": self.signers(), "iat": self.iat()} | changes
        return governance_event(origin=ORIGIN, **facts)

    def admission(self, of: Agency, **changes: Any) -> Signed:
        facts: dict[str, Any] = {
            "agency": of.id,
            "name": f"The {of.id}",
            "kind": "ngo",
            "country": "XK",
            "public_authority": False,
            "contact": f"desk@{of.id}.example",
            "root": of.root.public.digest,
            "signers": self.signers(),
            "iat": self.iat(),
        }
        return admit_event(origin=ORIGIN, **(facts | changes))

    def admit(self, name: str) -> Agency:
        """A new agency, admitted with its bundle."""
        agency = Agency.named(name)
        admit(self.hub, self.admission(agency), agency.bundle())
        return agency

    def suspension(self, agency: AgencyId, **changes: Any) -> Signed:
        facts = {"iat": self.iat(), "signers": self.signers(), "reason": "security"} | changes
        return suspend_event(origin=ORIGIN, agency=agency, **facts)

    def suspend(self, agency: Agency) -> Released:
        return decide(self.hub, self.suspension(agency.id))

    def resume(self, agency: Agency) -> Released:
        event = resume_event(origin=ORIGIN, iat=self.iat(), agency=agency.id, signers=self.signers())
        return decide(self.hub, event)

    def expel(self, agency: Agency) -> Released:
        event = expel_event(
            origin=ORIGIN, iat=self.iat(), agency=agency.id, reason="other", signers=self.signers()
        )
        return decide(self.hub, event)


def client_of(conn: Connection, agency: AgencyId, kid: Kid, now: datetime) -> tuple[Member, PublicKey | None]:
    """The agency and its OAuth client key, as a token request asks for them."""
    return client_in(together(conn, *asking_client(agency, kid)), now)
