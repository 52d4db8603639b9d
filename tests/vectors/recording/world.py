"""A small deployment for the vectors: operators, three agencies, the signed events that make their directory.

The same story for every file: envelopes and objects are checked against the directory that these events add
up to. Every secret is made from a label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from exchange.directory import events
from exchange.directory.rules import governance_pin
from exchange.directory.state import DirectoryState
from exchange_keys.auth_key import AuthKey
from exchange_keys.jws import Signed
from exchange_keys.public import PublicKey
from exchange_keys.root import Signer
from exchange_keys.signing import SigningKey
from exchange_schemas.agreement import SharingAgreement
from exchange_schemas.codec import b64u
from exchange_schemas.event import Operator
from exchange_schemas.ids import AgencyId, Kid
from tests.unit.directory.applying import apply_event
from tests.vectors.recording.seeds import ORIGIN, Case, enc, root, signing

START = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2027, 1, 1, tzinfo=UTC)
NGO, EMBASSY, COMMISSION = AgencyId("ngo"), AgencyId("embassy"), AgencyId("commission")
KINDS = {NGO: ("ngo", "DE"), EMBASSY: ("embassy", "JO"), COMMISSION: ("commission", "DE")}
Event = tuple[Signed, Mapping[Kid, bytes]]


def auth_public() -> PublicKey:
    """The base point of P-256 times a secret is not needed: any ES256 key of the right form will do."""
    return AuthKey.generate("ES256").public


def operator(name: str) -> SigningKey:
    return signing(f"operator {name}")


def listed(*names: str) -> list[Operator]:
    return [events.operator(name, operator(name).public) for name in names]


def approver(agency: AgencyId, person: str) -> SigningKey:
    return signing(f"{agency} approver {person}")


def envelope_key(agency: AgencyId) -> SigningKey:
    return signing(f"{agency} envelope")


def event_json(event: Event) -> Case:
    signed, keys = event
    return {"event": signed.to_json(), "keys": {kid: b64u(raw) for kid, raw in keys.items()}}


@dataclass
class World:
    """Events in their order and the state that they add up to; the clock goes on by itself."""

    now: datetime = START
    log: list[Event] = field(default_factory=list)
    state: DirectoryState = field(default_factory=lambda: DirectoryState.empty(ORIGIN, pin=None))

    def tick(self) -> datetime:
        self.now += timedelta(hours=1)
        return self.now

    def apply(self, signed: Signed, *keys: PublicKey) -> Event:
        given = events.key_bytes_of(*keys)
        self.state = apply_event(self.state, signed, given)
        self.log.append((signed, given))
        return signed, given

    def operators(self, *names: str) -> list[Signer]:
        return [operator(name) for name in names or ("ann", "bob")]

    def governance(self, k: int, names: Sequence[str], signers: Sequence[str]) -> Signed:
        return events.governance_event(
            origin=ORIGIN, iat=self.tick(), k=k, operators=listed(*names), signers=self.operators(*signers)
        )

    def agreements(self, version: int, *by: str) -> Signed:
        return events.agreements_event(
            origin=ORIGIN,
            iat=self.tick(),
            version=version,
            agreements=[SharingAgreement(snd=("ngo",), rcp=("embassy",), pur=("trace",), fields=("sex",))],
            signers=self.operators(*by),
        )

    def admit(self, agency: AgencyId, *, root_of: str | None = None, by: Sequence[str] = ()) -> Signed:
        kind, country = KINDS.get(agency, ("ngo", "DE"))
        return events.admit_event(
            origin=ORIGIN,
            iat=self.tick(),
            agency=agency,
            name=f"Agency {agency}",
            kind=kind,
            country=country,
            public_authority=False,
            contact=f"office@{agency}.example",
            root=root(root_of or f"{agency} root").public.digest,
            signers=self.operators(*by),
        )

    def root_set(self, agency: AgencyId, label: str, signers: Sequence[Signer]) -> Signed:
        return events.root_set_event(
            origin=ORIGIN, iat=self.tick(), agency=agency, root=root(label).public, signers=signers
        )

    def key(
        self,
        agency: AgencyId,
        use: str,
        key: PublicKey,
        signers: Sequence[Signer],
        *,
        holder: str | None = None,
        nbf: datetime = START,
        exp: datetime = END,
    ) -> Signed:
        return events.key_event(
            origin=ORIGIN,
            iat=self.tick(),
            agency=agency,
            use=use,
            key=key,
            nbf=nbf,
            exp=exp,
            holder=holder,
            signers=signers,
        )

    def join(self, agency: AgencyId) -> None:
        """Admission, root, two approvers by the root, and the other keys by the first approver."""
        label, first = f"{agency} root", approver(agency, "amal")
        self.apply(self.admit(agency))
        self.apply(self.root_set(agency, label, root(label).signers), root(label).publics[1])
        for person in ("amal", "badr"):
            public = approver(agency, person).public
            self.apply(self.key(agency, "approver", public, root(label).signers, holder=person), public)
        for use, public in (
            ("envelope", envelope_key(agency).public),
            ("enc", enc(f"{agency} enc").public),
            ("auth", auth_public()),
        ):
            self.apply(self.key(agency, use, public, [first]), public)


def story() -> World:
    """Governance, and three agencies that have joined."""
    world = World()
    world.apply(world.governance(2, ("ann", "bob", "cem"), ("ann", "bob")))
    for agency in (NGO, EMBASSY, COMMISSION):
        world.join(agency)
    return world


def pin_of(world: World) -> str:
    return governance_pin(world.log[0][0])
