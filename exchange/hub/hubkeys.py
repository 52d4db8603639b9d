"""The hub's own keys: what signs access tokens, the audit log's checkpoints and the key directory's.

They lie in three key files under the data folder, sealed under a store key; a fourth file, `hub.key`, keeps
that one under the hub's passphrase, so that one Argon2id opens them all. None of them can open a record.
The states of a token key, by its place among the others and its not-before date:
  next     without a date: already published, so that every worker and client knows it before it signs
  current  the newest whose date has come: the only one that signs
  retired  older: it signs nothing, and stays published until the tokens it signed have expired
`rotated_token_keys` moves every key one state on: running workers take that up by themselves (tokenfile.py),
and no valid token breaks. `replaced_token_keys` is for stolen keys: every token breaks, by design.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from exchange.hub.logkeys import LogChange, read_file, read_log_key
from exchange.hub.settings import Settings
from exchange.hub.tokenfile import Watched
from exchange.log.checkpoint import LogKey
from exchange_keys.auth_key import AuthKey
from exchange_keys.box import StoreKey
from exchange_keys.keyfile import (
    Cost,
    KeyMaterial,
    PublicEntry,
    read_keyfile,
    read_keyfile_with_store_key,
    write_keyfile,
    write_keyfile_with_store_key,
)
from exchange_keys.passphrase import check_strength, read_passphrase
from exchange_keys.public import PublicKey
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import JsonValue, decode_value, encode, format_time, parse_time
from exchange_schemas.errors import ConfigInvalid, Conflict, KeyFileCorrupt, Malformed, Unavailable

TOKEN_ALG: Final = "ES256"
TOKEN: Final = "token"
AUDIT_LOG: Final = "audit-log"
DIRECTORY_LOG: Final = "directory-log"
STORE: Final = "hub"
_USES: Final = (STORE, TOKEN, AUDIT_LOG, DIRECTORY_LOG)
HUB_KEY_FILES: Final = tuple(f"{use}.key" for use in _USES)
"""The files in `Settings.keys_dir`."""
RETIRED_FOR: Final = timedelta(hours=1)
"""How long a retired key stays at least; tokens live 300 s at most."""
_AT_START: Final = 2
_SCHEDULE: Final = "schedule"
_LIMIT: Final = 8 * 1024


@dataclass(frozen=True, slots=True)
class TokenKey:
    """One token key and when it begins to sign; None: it is the next one."""

    key: AuthKey
    not_before: datetime | None


@dataclass(frozen=True, slots=True)
class HubKeys:
    """The hub's keys, unlocked. `token` is in the order of their making, the next one last.

    `watched` gives the token keys as a rotation since then has left them; None: they stay as loaded.
    """

    token: tuple[TokenKey, ...]
    audit_log: SigningKey | LogKey
    directory_log: SigningKey | LogKey
    watched: Callable[[], tuple[TokenKey, ...]] | None = field(default=None, repr=False, compare=False)

    def present(self) -> tuple[TokenKey, ...]:
        """The token keys at this moment: the same object as before unless they were changed."""
        return self.token if self.watched is None else self.watched()

    def token_key(self, now: datetime) -> AuthKey:
        """The key that signs tokens now. Raises: Unavailable when no key's date has come."""
        for item in reversed(self.present()):
            if item.not_before is not None and item.not_before <= now:
                return item.key
        raise Unavailable("no token key is valid yet: the clock is before the first key's date")

    def published(self) -> tuple[AuthKey, ...]:
        """Every key that a token may bear or soon will: the JWK set, and what tokens are checked with."""
        return tuple(item.key for item in self.present())


# -- making, loading, rotating -------------------------------------------------------------------------


def create_hub_keys(settings: Settings, now: datetime) -> HubKeys:
    """Make every key of a new hub and write the key files: a current and a next token key, two log keys.

    The folder of the guard volume is made as well: from then on it must be there.

    Raises: Conflict when one of the files is there already; ConfigInvalid without a passphrase source, or
    with a weak passphrase; StorageFull.
    """
    for use in _USES:
        if _path(settings, use).exists():
            raise Conflict(f"the key file {_path(settings, use).name} is there already")
    passphrase = _passphrase(settings, new=True)
    audit_log, directory_log = SigningKey.generate(), SigningKey.generate()
    keys = HubKeys(_fresh_token_keys(now), audit_log, directory_log)
    for folder in (settings.keys_dir, settings.guard_dir):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = StoreKey.generate()
    _write_store(settings, store, passphrase)
    _write_token(settings, keys.token, store)
    _write_log(settings, AUDIT_LOG, audit_log, store)
    _write_log(settings, DIRECTORY_LOG, directory_log, store)
    return keys


def load_hub_keys(settings: Settings) -> HubKeys:
    """Unlock the key files; the token keys follow their file from now on.

    Raises: ConfigInvalid when there is no passphrase source or no key file; WrongPassphrase; KeyFileCorrupt.
    """
    store = _unlock(settings)
    watched = Watched(_path(settings, TOKEN), partial(_read_token, settings, store))
    return replace(_load(settings, store), token=watched(), watched=watched)


def log_key_file(settings: Settings, use: str) -> LogChange:
    """A log's key file as it is, to be changed by `exchange.hub.logkeys`. Raises: as `load_hub_keys`."""
    store, path = _unlock(settings), _path(settings, use)
    return LogChange(read_file(path, store), path, settings.origin, use, store)


@dataclass(frozen=True, slots=True)
class Rotation:
    """Token keys that were made and are not in use yet: nothing is changed before `write`."""

    keys: HubKeys
    settings: Settings
    store: StoreKey = field(repr=False)

    def write(self) -> HubKeys:
        """Put them in the file, whole, for every worker. Raises: StorageFull, OSError."""
        _write_token(self.settings, self.keys.token, self.store)
        return self.keys


def rotated_token_keys(settings: Settings, now: datetime) -> Rotation:
    """Every token key one state on: next signs from `now`, a new next is made, old retired ones go.

    A running worker may go on with the keys it has for a moment, all of which stay valid. Two within an hour
    are refused: tokens of the key before the last must have expired, and clients must have seen the new one.
    Raises: as `load_hub_keys`; Conflict when the last rotation is less than an hour ago.
    """
    store = _unlock(settings)
    keys = _load(settings, store)
    newest = max((item.not_before for item in keys.token if item.not_before is not None), default=now)
    if len(keys.token) > _AT_START and newest > now - RETIRED_FOR:
        hint = "wait; if the keys were stolen: exchange-hub keys rotate token --compromised"
        raise Conflict("the token key was rotated less than an hour ago", hint=hint)
    # Only the current one may have signed a token that is still valid: the last rotation is an hour ago.
    current = [item for item in keys.token if item.not_before == newest]
    upcoming = [
        replace(item, not_before=now.replace(microsecond=0)) for item in keys.token if item.not_before is None
    ]
    token = (*current, *upcoming, TokenKey(AuthKey.generate(TOKEN_ALG), None))
    return Rotation(replace(keys, token=token), settings, store)


def replaced_token_keys(settings: Settings, now: datetime) -> Rotation:
    """New token keys in the place of all there are, the next one included: they lay in one file.

    Every token that was given out is refused from then on, so each client asks for a new one.
    Raises: as `load_hub_keys`.
    """
    store = _unlock(settings)
    return Rotation(replace(_load(settings, store), token=_fresh_token_keys(now)), settings, store)


def _fresh_token_keys(now: datetime) -> tuple[TokenKey, ...]:
    start = now.replace(microsecond=0)
    return TokenKey(AuthKey.generate(TOKEN_ALG), start), TokenKey(AuthKey.generate(TOKEN_ALG), None)


def _load(settings: Settings, store: StoreKey) -> HubKeys:
    return HubKeys(
        token=_read_token(settings, store),
        audit_log=_read_log(settings, AUDIT_LOG, store),
        directory_log=_read_log(settings, DIRECTORY_LOG, store),
    )


def _path(settings: Settings, use: str) -> Path:
    return settings.keys_dir / f"{use}.key"


def _passphrase(settings: Settings, *, new: bool = False) -> bytes:
    file, fd = settings.key_passphrase_file, settings.key_passphrase_fd
    if file is None and fd is None:
        name = "HOMEWARD_KEY_PASSPHRASE_FILE"
        raise ConfigInvalid(f"{name} is not set, nor HOMEWARD_KEY_PASSPHRASE_FD", field=name)
    name = "HOMEWARD_KEY_PASSPHRASE_FD" if file is None else "HOMEWARD_KEY_PASSPHRASE_FILE"
    try:
        passphrase = read_passphrase("Passphrase of the hub's keys: ", file=file, fd=fd)
        if new:
            check_strength(passphrase)
    except ConfigInvalid as error:
        # An operator types a passphrase of their own beside it: say that it is not that one.
        what = error.message.removeprefix("passphrase: ")
        raise ConfigInvalid(f"{name}: {what}", field=name, hint=error.hint) from None
    return passphrase


def _write_store(settings: Settings, store: StoreKey, passphrase: bytes) -> None:
    write_keyfile(
        _path(settings, STORE),
        {STORE: store.raw},
        [],
        passphrase=passphrase,
        cost=Cost.INSECURE if settings.insecure_kdf else Cost.MODERATE,
        label=settings.origin,
        allow_insecure=settings.insecure_kdf,
    )


def _unlock(settings: Settings) -> StoreKey:
    """The store key, by the hub's passphrase. Raises: as `load_hub_keys`."""
    passphrase = _passphrase(settings)
    path = _path(settings, STORE)
    material = read_keyfile(path, passphrase=passphrase, allow_insecure=settings.insecure_kdf)
    return StoreKey(material.secret(STORE))


def _write(
    settings: Settings, use: str, secrets: Mapping[str, bytes], public: list[PublicKey], store: StoreKey
) -> None:
    entries = [PublicEntry(use, key) for key in public]
    path, label = _path(settings, use), settings.origin
    write_keyfile_with_store_key(path, secrets, entries, key=store, label=label, replace=use == TOKEN)


def _read(settings: Settings, use: str, store: StoreKey) -> KeyMaterial:
    return read_keyfile_with_store_key(_path(settings, use), key=store)


def _write_log(settings: Settings, use: str, key: SigningKey, store: StoreKey) -> None:
    _write(settings, use, {"seed": key.seed}, [key.public], store)


def _read_log(settings: Settings, use: str, store: StoreKey) -> SigningKey | LogKey:
    return read_log_key(_read(settings, use, store))


def _write_token(settings: Settings, token: tuple[TokenKey, ...], store: StoreKey) -> None:
    """Each key under its kid, and a schedule: the kids in order, each with its not-before date or ""."""
    dates = [["" if k.not_before is None else format_time(k.not_before), k.key.public.kid] for k in token]
    secrets = {str(item.key.public.kid): item.key.secret for item in token}
    secrets[_SCHEDULE] = encode(dates)
    _write(settings, TOKEN, secrets, [item.key.public for item in token], store)


def _read_token(settings: Settings, store: StoreKey) -> tuple[TokenKey, ...]:
    material = _read(settings, TOKEN, store)
    try:
        dates = decode_value(material.secret(_SCHEDULE), limit=_LIMIT)
        return tuple(_token_key(material, item) for item in _list(dates))
    except Malformed as error:
        raise KeyFileCorrupt(f"the key file {TOKEN}.key is damaged ({error.message})") from None


def _token_key(material: KeyMaterial, item: JsonValue) -> TokenKey:
    date, kid = _list(item, length=2)
    not_before = None if date == "" else parse_time(date, field=_SCHEDULE)
    return TokenKey(AuthKey.from_secret(material.secret(f"{kid}")), not_before)


def _list(value: JsonValue, *, length: int | None = None) -> list[JsonValue]:
    if not isinstance(value, list) or length not in (None, len(value)):
        raise Malformed(f"{_SCHEDULE}: a list is needed", field=_SCHEDULE)
    return value
