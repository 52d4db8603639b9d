"""An unlocked agency: its folder, keys, store, hub and copy of the key directory, for one person at work.

Opening talks to nobody. Everything that needs the time or randomness takes it from here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from exchange.member.carried import PATIENCE, CarriedAnswers, CarriedWire
from exchange.member.carried import VARIABLE as OFFLINE_VARIABLE
from exchange.member.directory import DirectoryCopy
from exchange.member.home import Home
from exchange.member.keyring import AgencyKeys, load_keys
from exchange.member.profile import Profile
from exchange.member.receipts import Receipts
from exchange.member.store import Store
from exchange.member.tokens import Caller, Tokens, scopes_of
from exchange.member.transport import Transport
from exchange.member.users import open_user
from exchange.net.wire import Wire
from exchange_keys.box import StoreKey
from exchange_keys.jose import AuthKey
from exchange_keys.sealing import EncKey
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u
from exchange_schemas.errors import KidUnknown, NotPermitted, StoreCorrupt
from exchange_schemas.ids import Kid

INSECURE_VARIABLE = "HOMEWARD_INSECURE_KDF"


@dataclass(slots=True)
class Session:
    """What every part of the program needs. `approver` is None for a caseworker."""

    home: Home
    profile: Profile
    user: str
    store_key: StoreKey
    approver: SigningKey | None
    keys: AgencyKeys
    store: Store
    receipts: Receipts
    hub: Transport
    directory: DirectoryCopy
    now: Callable[[], datetime]
    random: Callable[[int], bytes]
    carried: CarriedAnswers | None = None
    """What couriers brought, in an office without network; None where there is one."""

    def close(self) -> None:
        """Close the store and the connections."""
        self.store.close()
        self.hub.wire.close()

    def refresh_keys(self) -> bool:
        """Read the agency's keys again, after another command may have changed one; whether one changed.

        Raises: KeyFileCorrupt, WrongPassphrase, ConfigInvalid.
        """
        found = load_keys(self.home.keys_file, self.store_key, self.profile)
        changed = found.public() != self.keys.public()
        self.keys = found
        return changed

    def enc_key(self, kid: Kid) -> EncKey:
        """The enc key of that id. Raises: KidUnknown when this agency does not hold it (any more)."""
        try:
            return self.keys.enc_for(kid)
        except KidUnknown:
            if not self.refresh_keys():
                raise
            return self.keys.enc_for(kid)

    def require_approver(self) -> SigningKey:
        """The approver's key. Raises: NotPermitted for a caseworker."""
        if self.approver is None:
            raise NotPermitted(
                f"{self.user} is a caseworker: only an approver may decide this",
                rule="approver-needed",
                hint="run the command with --user and an approver's name",
            )
        return self.approver


def system_clock() -> datetime:
    """Now, aware UTC."""
    return datetime.now(UTC)


def insecure_allowed() -> bool:
    """Whether key files with a test cost may be used: HOMEWARD_INSECURE_KDF=1."""
    return os.environ.get(INSECURE_VARIABLE, "") == "1"


def open_session(
    path: Path,
    user: str,
    passphrase: bytes,
    *,
    now: Callable[[], datetime] = system_clock,
    wire: Wire | None = None,
    offline: bool | None = None,
) -> Session:
    """Unlock the folder `path` as `user`; `offline` (or HOMEWARD_OFFLINE=1): for an office without network.

    Raises: ConfigInvalid, WrongPassphrase, KeyFileCorrupt, StoreLocked, StoreCorrupt, StorageFull.
    """
    home = Home(path)
    profile = home.profile()
    opened = open_user(home, user, passphrase, allow_insecure=insecure_allowed())
    keys = load_keys(home.keys_file, opened.store_key, profile)
    _must_have_store(home)
    store = Store(home.store_file, opened.store_key)
    carried = CarriedAnswers(store, home.spool) if _without_network(offline) else None
    if carried is not None:
        wire = CarriedWire(carried)
    receipts = Receipts(store, profile.deployment.audit_vkey, profile.agency)
    hub = _transport(
        profile, keys, store, receipts, user=user, now=now, wire=Wire() if wire is None else wire
    )
    session = Session(
        home=home,
        profile=profile,
        user=user,
        store_key=opened.store_key,
        approver=opened.approver,
        keys=keys,
        store=store,
        receipts=receipts,
        hub=hub,
        directory=DirectoryCopy(home, profile, hub, store, opened.store_key),
        now=now,
        random=os.urandom,
        carried=carried,
    )
    if carried is not None:
        session.directory.patience = PATIENCE
    hub.tokens.newest_auth = partial(_newest_auth, session)
    return session


def _without_network(said: bool | None) -> bool:
    return os.environ.get(OFFLINE_VARIABLE, "") == "1" if said is None else said


def _newest_auth(session: Session) -> AuthKey:
    """The key to log in with, after the one in use was refused: another command may have changed it."""
    session.refresh_keys()
    return session.keys.auth[-1]


def _must_have_store(home: Home) -> None:
    """An agency's store is made with its keys: a new, empty one would have forgotten every withdrawal.

    Raises: StoreCorrupt.
    """
    file = home.store_file
    if not file.is_file() or file.stat().st_size == 0:
        raise StoreCorrupt(
            "the local store is missing or empty; a new one would forget records and withdrawals",
            hint="restore store.db from the newest backup of this folder",
        )


def _transport(
    profile: Profile,
    keys: AgencyKeys,
    store: Store,
    receipts: Receipts,
    *,
    user: str,
    now: Callable[[], datetime],
    wire: Wire,
) -> Transport:
    caller = Caller(
        agency=profile.agency,
        scopes=scopes_of(profile.kind),
        auth=keys.auth[-1],
        # The hub's log can tell that two acts were one person's, not whose: the salt stays in the store.
        pseudonym=b64u(store.pseudonym("user", user)[:16]),
    )
    base_url = profile.deployment.base_url
    tokens = Tokens(base_url, caller, wire, now, os.urandom, receipts.note)
    return Transport(base_url, wire, tokens, receipts.keep, receipts.note)
