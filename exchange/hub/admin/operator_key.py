"""An operator's key: made on the operator's own machine, opened with a passphrase to sign one event.

A key file holds one Ed25519 key under Argon2id and bears the operator's name; beside it lies a public file,
which is all that anybody else needs. The opened key lives in one command and is kept nowhere.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from exchange.hub.admin.output import sentence
from exchange.hub.services.operators import check_name
from exchange_keys.durable import durable_file
from exchange_keys.keyfile import Cost, PublicEntry, read_keyfile, write_keyfile
from exchange_keys.passphrase import read_passphrase
from exchange_keys.public import ED25519, PublicKey
from exchange_keys.registration import check_key_for_use
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import JsonValue, b64u, decode, encode, unb64u
from exchange_schemas.errors import ConfigInvalid, Malformed
from exchange_schemas.event import Operator

USE: Final = "operator"
PUBLIC_TYP: Final = "hx-operator"
_SEED: Final = "seed"
_PUBLIC_BYTES: Final = 4 * 1024
_VERSION: Final = 1

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class OperatorKey:
    """An opened key and the name that its file bears."""

    name: str
    key: SigningKey


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where an operator's key and its passphrase come from, as the command line says."""

    path: Path
    passphrase_file: Path | None
    passphrase_fd: int | None

    def open(self, *, allow_insecure: bool) -> OperatorKey:
        """Open the key. Raises: ConfigInvalid, WrongPassphrase, KeyFileCorrupt."""
        passphrase = read_passphrase(
            sentence("Passphrase of {file}: ", file=self.path.name),
            file=self.passphrase_file,
            fd=self.passphrase_fd,
        )
        material = read_keyfile(self.path, passphrase=passphrase, allow_insecure=allow_insecure)
        if [entry.use for entry in material.public] != [USE]:
            raise ConfigInvalid(
                f"{self.path.name} is not an operator's key file", hint="exchange-hub operator keygen"
            )
        return OperatorKey(check_name(material.label), SigningKey.from_seed(material.secret(_SEED)))


def passphrase_options(command: F) -> F:
    """Add --passphrase-file and --passphrase-fd. A passphrase is never an argument."""
    file = click.option(
        "--passphrase-file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Read the operator's passphrase from the first line of this file instead of asking.",
    )
    descriptor = click.option(
        "--passphrase-fd",
        type=click.IntRange(min=0),
        help="Read the operator's passphrase from this open file descriptor.",
    )
    return file(descriptor(command))


def key_options(command: F) -> Any:
    """Add --operator-key and the passphrase options; the command gets them as `source`, a `KeySource`."""

    @functools.wraps(command)
    def run(
        *args: Any,
        operator_key: Path,
        passphrase_file: Path | None,
        passphrase_fd: int | None,
        **options: Any,
    ) -> Any:
        source = KeySource(operator_key, passphrase_file, passphrase_fd)
        return command(*args, source=source, **options)

    key = click.option(
        "--operator-key",
        required=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="The key file of the operator who signs.",
    )
    return key(passphrase_options(run))


def optional_key_options(command: F) -> Any:
    """As `key_options` where a signed file may take the operator's place: `source` is None without a key."""

    @functools.wraps(command)
    def run(
        *args: Any,
        operator_key: Path | None,
        passphrase_file: Path | None,
        passphrase_fd: int | None,
        **options: Any,
    ) -> Any:
        source = None if operator_key is None else KeySource(operator_key, passphrase_file, passphrase_fd)
        return command(*args, source=source, **options)

    key = click.option(
        "--operator-key",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="The key file of the operator who signs.",
    )
    return key(passphrase_options(run))


def insecure_allowed() -> bool:
    """Whether key files of the INSECURE cost are made and opened: a development environment that says so."""
    return (
        os.environ.get("HOMEWARD_INSECURE_KDF") == "1"
        and os.environ.get("HOMEWARD_ENVIRONMENT") == "development"
    )


def make_key(name: str, path: Path, public: Path, *, passphrase: bytes, cost: Cost) -> Operator:
    """Make a key, write its file and its public file; neither may exist.

    Raises: Malformed (the name), ConfigInvalid (a weak passphrase), Conflict (a file exists), StorageFull.
    """
    check_name(name)
    key = SigningKey.generate()
    operator = Operator(name=name, kid=key.public.kid, key=key.public.raw)
    insecure = cost is Cost.INSECURE
    write_keyfile(
        path,
        {_SEED: key.seed},
        [PublicEntry(USE, key.public)],
        passphrase=passphrase,
        cost=cost,
        label=name,
        allow_insecure=insecure,
    )
    with durable_file(public, replace=False) as file:
        file.write(public_bytes(operator) + b"\n")
    return operator


def public_bytes(operator: Operator) -> bytes:
    """The public file: strict JSON {v, typ, name, kid, key}."""
    members: dict[str, JsonValue] = {
        "v": _VERSION,
        "typ": PUBLIC_TYP,
        "name": operator.name,
        "kid": operator.kid,
        "key": b64u(operator.key),
    }
    return encode(members)


def read_public(path: Path) -> Operator:
    """Read a public file. Raises: Malformed when it is none, or its key could never sign."""
    with path.open("rb") as file:
        data = file.read(_PUBLIC_BYTES + 1)
    members = decode(data.removesuffix(b"\n"), limit=_PUBLIC_BYTES)
    if set(members) != {"v", "typ", "name", "kid", "key"} or members["typ"] != PUBLIC_TYP:
        raise Malformed(f"{path.name} is not an operator's public file", hint="exchange-hub operator keygen")
    if members["v"] != _VERSION or not isinstance(members["name"], str):
        raise Malformed(f"{path.name} is of another version", field="v")
    public = PublicKey(ED25519, unb64u(members["key"], field="key", length=32))
    check_key_for_use(USE, public)
    if members["kid"] != public.kid:
        raise Malformed(f"{path.name}: the key id is not that of the key", field="kid")
    return Operator(name=check_name(members["name"]), kid=public.kid, key=public.raw)
