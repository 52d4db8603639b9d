"""What the events of the key directory add up to: governance, agencies, their roots and keys. Values only.

Nothing here reads a clock or trusts a hub: a state is as good as the replay that made it. The rules by
which it changes are in `exchange.directory.rules`.

An agency is `active` from its admission, may be `suspended` and resumed, and ends as `expelled`.
A key is `active` until it is `draining` (nothing new is sealed to it or signed with it) or `revoked`, which
is final. Besides, it may be used only while nbf <= now < exp. A root key has neither and is revoked by
the next root-set.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeVar

from exchange.log.tree import Frontier
from exchange_keys.public import ED25519, PublicKey
from exchange_schemas.agreement import SharingAgreement
from exchange_schemas.errors import KeyNotActive, KeyRevoked, KeyWrongUse, KidUnknown
from exchange_schemas.event import Operator
from exchange_schemas.ids import AgencyId, Digest, Kid

ROOT: Final = "root"
ENVELOPE: Final = "envelope"
APPROVER: Final = "approver"
ENC: Final = "enc"
AUTH: Final = "auth"
_ALWAYS: Final = datetime.min.replace(tzinfo=UTC)


class AgencyStatus(StrEnum):
    """Where an agency stands."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    EXPELLED = "expelled"


class KeyStatus(StrEnum):
    """Where a key stands, time apart."""

    ACTIVE = "active"
    DRAINING = "draining"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Governance:
    """`k` of these operators must sign what concerns who is a member; `since` is the iat of their event."""

    k: int
    operators: tuple[Operator, ...]
    since: datetime

    def key(self, kid: Kid) -> PublicKey | None:
        """An operator's key, or None."""
        for operator in self.operators:
            if operator.kid == kid:
                return PublicKey(ED25519, operator.key)
        return None


@dataclass(frozen=True, slots=True)
class Agreements:
    """The sharing agreements in force: version 1, 2, …, and what each lets go between kinds of agency."""

    version: int
    agreements: tuple[SharingAgreement, ...]


Moment = TypeVar("Moment", datetime, float)


def in_time(when: Moment, nbf: Moment | None, exp: Moment | None) -> bool:
    """Whether nbf <= when < exp; as times, or all in seconds since 1970."""
    return (nbf is None or nbf <= when) and (exp is None or when < exp)


@dataclass(frozen=True, slots=True)
class KeyState:
    """One key of an agency. `nbf` and `exp` are None for a root key only; `until` is set by a drain."""

    kid: Kid
    agency: AgencyId
    use: str
    public: PublicKey
    status: KeyStatus
    nbf: datetime | None = None
    exp: datetime | None = None
    until: datetime | None = None
    holder: str | None = None

    def in_time(self, when: datetime) -> bool:
        """Whether nbf <= when < exp."""
        return in_time(when, self.nbf, self.exp)


@dataclass(frozen=True, slots=True)
class AgencyState:
    """One agency: what its admission says, where it stands, every key that it ever had.

    `root` is the digest of the current root, or of the admitted one until the first root-set.
    `standing_since` is the iat of the last admit, suspend or resume: an older one cannot come again.
    """

    agency: AgencyId
    name: str
    kind: str
    country: str
    public_authority: bool
    contact: str
    status: AgencyStatus
    standing_since: datetime
    root: Digest
    keys: Mapping[Kid, KeyState]

    def active_root(self) -> tuple[KeyState, ...]:
        """The two keys of the current root, or nothing before the first root-set."""
        return tuple(key for key in self.keys.values() if key.use == ROOT and key.status is KeyStatus.ACTIVE)

    def require_key(self, kid: Kid, *, use: str, now: datetime) -> KeyState:
        """The key, if something new may be made with it now: sealed to it, signed or logged in with it.

        (1) The agency has it. (2) It is for this use. (3) It is not revoked. (4) The agency is active.
        (5) It is not draining. (6) nbf <= now < exp.
        Raises: KidUnknown, KeyWrongUse, KeyRevoked, KeyNotActive.
        """
        key = self._key_for(kid, use)
        if key.status is KeyStatus.DRAINING:
            raise KeyNotActive("kid: the key is draining", field="kid", rule="K5-draining")
        if not key.in_time(now):
            raise KeyNotActive("kid: the key is not valid at this time", field="kid", rule="K6-time")
        return key

    def require_past_key(self, kid: Kid, *, use: str, signed_at: datetime, now: datetime) -> KeyState:
        """The key, if a signature that says it was made at `signed_at` still counts now.

        As `require_key`, but time is that of the signature, and a draining key counts until its drain ends.
        Raises: KidUnknown, KeyWrongUse, KeyRevoked, KeyNotActive.
        """
        key = self._key_for(kid, use)
        if key.until is not None and key.until <= now:
            raise KeyNotActive("kid: the key has drained", field="kid", rule="K5-draining")
        if not key.in_time(signed_at):
            raise KeyNotActive("kid: the key was not valid at that time", field="kid", rule="K6-time")
        return key

    def require_once_key(self, kid: Kid, *, use: str, signed_at: datetime) -> KeyState:
        """The key, if it was for this use and valid at `signed_at`, whatever became of it or of the agency.

        For what shares nothing: withdrawals, which nothing that ends a key may take back, and the place in a
        chain behind which its owner goes on.
        Raises: KidUnknown, KeyWrongUse, KeyNotActive.
        """
        key = self._known_key(kid, use)
        if not key.in_time(signed_at):
            raise KeyNotActive("kid: the key was not valid at that time", field="kid", rule="K6-time")
        return key

    def _known_key(self, kid: Kid, use: str) -> KeyState:
        key = self.keys.get(kid)
        if key is None:
            raise KidUnknown("kid: the agency has no such key", field="kid", rule="K1-known")
        if key.use != use:
            raise KeyWrongUse(f"kid: the key is not for the use '{use}'", field="kid", rule="K2-use")
        return key

    def _key_for(self, kid: Kid, use: str) -> KeyState:
        key = self._known_key(kid, use)
        if key.status is KeyStatus.REVOKED:
            raise KeyRevoked("kid: the key is revoked", field="kid", rule="K3-revoked")
        if self.status is not AgencyStatus.ACTIVE:
            raise KeyNotActive(f"kid: the agency is {self.status}", field="kid", rule="K4-agency")
        return key

    def active_keys(self, use: str, now: datetime) -> tuple[KeyState, ...]:
        """The keys that `require_key` would give, the one that became valid last first."""
        if self.status is not AgencyStatus.ACTIVE:
            return ()
        found = [
            key
            for key in self.keys.values()
            if key.use == use and key.status is KeyStatus.ACTIVE and key.in_time(now)
        ]
        return tuple(sorted(found, key=lambda key: (_ALWAYS if key.nbf is None else key.nbf, key.kid))[::-1])


NOBODY: Final[Mapping[AgencyId, AgencyState]] = MappingProxyType({})
NOTHING: Final[Mapping[Kid, AgencyId]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class DirectoryState:
    """The whole directory after `size` events, as a client holds it.

    `pin` is the digest of the genesis governance event that this deployment was joined with; `owners` says
    whose each agency key is; `agreements` is None while the operators have signed none.
    """

    origin: str
    pin: Digest | None
    governance: Governance | None
    agencies: Mapping[AgencyId, AgencyState]
    owners: Mapping[Kid, AgencyId]
    frontier: Frontier
    agreements: Agreements | None = None

    @classmethod
    def empty(cls, origin: str, *, pin: Digest | None) -> "DirectoryState":
        """Before the first event. Only who makes the genesis event may leave out its pin."""
        return cls(origin, pin, None, NOBODY, NOTHING, Frontier.empty())

    @property
    def size(self) -> int:
        """How many events there are."""
        return self.frontier.size

    def agency(self, agency: AgencyId) -> AgencyState | None:
        """The agency, or None."""
        return self.agencies.get(agency)

    def key(self, kid: Kid) -> KeyState | None:
        """The agency key with this id, whatever its standing, or None."""
        owner = self.owners.get(kid)
        return None if owner is None else self.agencies[owner].keys[kid]

    def every_key(self) -> Iterator[KeyState]:
        """Every agency key that there ever was."""
        for agency in self.agencies.values():
            yield from agency.keys.values()

    def active_keys(self, agency: AgencyId, use: str, now: datetime) -> tuple[KeyState, ...]:
        """As `AgencyState.active_keys`; nothing for an agency that is not there."""
        state = self.agencies.get(agency)
        return () if state is None else state.active_keys(use, now)

    def require_key(self, kid: Kid, use: str, now: datetime, agency: AgencyId) -> KeyState:
        """As `AgencyState.require_key`; a key of another agency is KeyWrongUse.

        Raises: KidUnknown, KeyWrongUse, KeyRevoked, KeyNotActive.
        """
        return self._owner(kid, agency).require_key(kid, use=use, now=now)

    def require_past_key(
        self, kid: Kid, use: str, now: datetime, agency: AgencyId, *, signed_at: datetime
    ) -> KeyState:
        """As `AgencyState.require_past_key`; a key of another agency is KeyWrongUse.

        Raises: KidUnknown, KeyWrongUse, KeyRevoked, KeyNotActive.
        """
        return self._owner(kid, agency).require_past_key(kid, use=use, signed_at=signed_at, now=now)

    def require_once_key(self, kid: Kid, use: str, agency: AgencyId, *, signed_at: datetime) -> KeyState:
        """As `AgencyState.require_once_key`; a key of another agency is KeyWrongUse.

        Raises: KidUnknown, KeyWrongUse, KeyNotActive.
        """
        return self._owner(kid, agency).require_once_key(kid, use=use, signed_at=signed_at)

    def _owner(self, kid: Kid, agency: AgencyId) -> AgencyState:
        owner = self.owners.get(kid)
        if owner is None:
            raise KidUnknown("kid: no key of the directory has this id", field="kid", rule="K1-known")
        if owner != agency:
            raise KeyWrongUse("kid: the key is another agency's", field="kid", rule="K2-use")
        return self.agencies[owner]
