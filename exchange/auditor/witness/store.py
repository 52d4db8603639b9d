"""A witness's folder: its key, the logs it knows, and the newest checkpoint it cosigned of each.

    witness.key             the Ed25519 key under a passphrase; its label is the witness's name
    logs                    one verifier key a line; several of one origin while a log changes its key
    state/<H(origin)>.note  the newest cosigned checkpoint, as it is served

What was written is durable before `remember` returns. A state that cannot be read is never taken for none:
a witness that forgets is worse than no witness. Whoever restores this folder from an old backup makes the
witness lie, so it is not to be restored: make a new witness with a new name instead.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from exchange.log.checkpoint import Checkpoint, open_checkpoint, parse_vkey
from exchange.log.cosignature import cosigner_vkey, newest_cosignatures, parse_cosigner
from exchange.log.note import NOTE_BYTES, VerifierKey, is_key_name
from exchange.log.witnessing import origin_hash
from exchange.member.files import private_folder, read_bounded, write_private
from exchange.member.locks import hold
from exchange_keys.keyfile import Cost, PublicEntry, read_keyfile, write_keyfile
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import CheckpointInvalid, ConfigInvalid, LogIncomplete

USE: Final = "witness"
_SEED: Final = "seed"
_KEY_FILE: Final = "witness.key"
_LOGS_FILE: Final = "logs"
_STATE: Final = "state"
_LOGS_BYTES: Final = 64 * 1024
_LOCK_SECONDS: Final = 1.0
_ANY_TIME: Final = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """The opened key of a witness and its name."""

    name: str
    key: SigningKey

    @property
    def vkey(self) -> str:
        """What goes into other people's policies (type 0x04)."""
        return cosigner_vkey(self.name, self.key.public.raw)


@dataclass(frozen=True, slots=True)
class Remembered:
    """The newest checkpoint of a log that was cosigned, and when."""

    checkpoint: Checkpoint
    when: datetime


@dataclass(frozen=True, slots=True)
class WitnessStore:
    """A witness's folder."""

    folder: Path

    def create(self, name: str, passphrase: bytes, logs: Sequence[str], *, insecure: bool) -> WitnessKey:
        """Make the folder and a new key. Raises: Conflict when there is one; ConfigInvalid."""
        if not is_key_name(name):
            raise ConfigInvalid("the witness's name is empty or has a space or a plus", field="name")
        _by_origin(logs)
        key = SigningKey.generate()
        private_folder(self.folder)
        private_folder(self.folder / _STATE)
        write_keyfile(
            self.folder / _KEY_FILE,
            {_SEED: key.seed},
            [PublicEntry(USE, key.public)],
            passphrase=passphrase,
            cost=Cost.INSECURE if insecure else Cost.MODERATE,
            label=name,
            allow_insecure=insecure,
        )
        self._write_logs(logs)
        return WitnessKey(name, key)

    def open_key(self, passphrase: bytes, *, insecure: bool) -> WitnessKey:
        """Open the key. Raises: ConfigInvalid, WrongPassphrase, KeyFileCorrupt."""
        material = read_keyfile(self.folder / _KEY_FILE, passphrase=passphrase, allow_insecure=insecure)
        if [entry.use for entry in material.public] != [USE]:
            raise ConfigInvalid(f"{_KEY_FILE} is not a witness's key file")
        return WitnessKey(material.label, SigningKey.from_seed(material.secret(_SEED)))

    def logs(self) -> dict[str, tuple[VerifierKey, ...]]:
        """The pinned keys by origin. Raises: ConfigInvalid."""
        return _by_origin(self._log_lines())

    def add_log(self, vkey: str) -> None:
        """Know one more log, or one more key of a log. Raises: ConfigInvalid."""
        lines = [*self._log_lines(), vkey]
        _by_origin(lines)
        self._write_logs(lines)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process from cosigning out of this folder. Raises: StoreLocked, ConfigInvalid."""
        with hold(self.folder / ".lock", what="this witness", wait_seconds=_LOCK_SECONDS):
            yield

    def latest_note(self, origin: str) -> str | None:
        """The newest cosigned checkpoint of a log as it was written; None when there never was one.

        Raises: LogIncomplete when the state cannot be read; ConfigInvalid.
        """
        path = self._state_path(origin)
        if not path.parent.is_dir():
            raise self._broken(path.parent)
        if not os.path.lexists(path):
            return None
        try:
            return read_bounded(path, limit=NOTE_BYTES, what="witness's state").decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._broken(path) from error

    def latest(self, origin: str, keys: Sequence[VerifierKey], own: WitnessKey) -> Remembered | None:
        """The newest cosigned checkpoint, verified: a key of the log signed it and so did this witness.

        Raises: LogIncomplete when the file is there and is not such a note; ConfigInvalid.
        """
        note = self.latest_note(origin)
        if note is None:
            return None
        path = self._state_path(origin)
        try:
            checkpoint = open_checkpoint(note, keys, origin=origin)
            mine = newest_cosignatures(note, [parse_cosigner(own.vkey)], _ANY_TIME)
        except CheckpointInvalid as error:
            raise self._broken(path) from error
        if not mine:
            raise self._broken(path)
        return Remembered(checkpoint, mine[0].when)

    def remember(self, origin: str, note: str) -> None:
        """Make the newest cosigned checkpoint durable. Raises: StorageFull, ConfigInvalid."""
        write_private(self._state_path(origin), note.encode())

    def _state_path(self, origin: str) -> Path:
        return self.folder / _STATE / f"{origin_hash(origin)}.note"

    def _log_lines(self) -> list[str]:
        data = read_bounded(self.folder / _LOGS_FILE, limit=_LOGS_BYTES, what="list of logs")
        try:
            return data.decode("utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise ConfigInvalid("the list of logs is not UTF-8", field=_LOGS_FILE) from error

    def _write_logs(self, lines: Sequence[str]) -> None:
        write_private(self.folder / _LOGS_FILE, "".join(f"{line}\n" for line in lines).encode())

    def _broken(self, path: Path) -> LogIncomplete:
        return LogIncomplete(
            f"the witness's state {path.name} is damaged; it must not cosign until that is explained",
            field=path.name,
            hint="do not delete it: make a new witness with a new name, and tell whoever relies on this one",
        )


def _by_origin(lines: Sequence[str]) -> dict[str, tuple[VerifierKey, ...]]:
    known: dict[str, tuple[VerifierKey, ...]] = {}
    for line in lines:
        key = parse_vkey(line)
        if key in known.get(key.name, ()):
            raise ConfigInvalid("the same log key stands there twice", field="log")
        known[key.name] = (*known.get(key.name, ()), key)
    if not known:
        raise ConfigInvalid("a witness needs at least one log", field="log")
    return known
