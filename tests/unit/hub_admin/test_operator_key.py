"""An operator's key file and its public file."""

import json
from pathlib import Path

import pytest

from exchange.hub.admin.operator_key import (
    KeySource,
    insecure_allowed,
    make_key,
    public_bytes,
    read_public,
)
from exchange_keys.keyfile import Cost, PublicEntry, write_keyfile
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u
from exchange_schemas.errors import ConfigInvalid, Conflict, ExchangeError, Malformed, WrongPassphrase
from exchange_schemas.event import Operator

PASSPHRASE = b"open sesame and more"


@pytest.fixture
def source(tmp_path: Path) -> KeySource:
    secret = tmp_path / "pass"
    secret.touch(mode=0o600)
    secret.write_bytes(PASSPHRASE + b"\n")
    return KeySource(tmp_path / "asha.key", secret, None)


def make(source: KeySource, name: str = "asha") -> Operator:
    public = source.path.with_name("asha.pub")
    return make_key(name, source.path, public, passphrase=PASSPHRASE, cost=Cost.INSECURE)


def test_the_file_opens_to_the_key_that_was_made(source: KeySource) -> None:
    made = make(source)
    opened = source.open(allow_insecure=True)
    assert (opened.name, opened.key.public.kid) == ("asha", made.kid)
    assert read_public(source.path.with_name("asha.pub")) == made
    assert PASSPHRASE.decode() not in repr(opened)
    assert b64u(opened.key.seed) not in source.path.read_text()


def test_a_test_cost_is_refused_in_production(source: KeySource) -> None:
    make(source)
    with pytest.raises(ConfigInvalid, match="INSECURE"):
        source.open(allow_insecure=False)


def test_a_wrong_passphrase_opens_nothing(source: KeySource) -> None:
    make(source)
    assert source.passphrase_file is not None
    source.passphrase_file.write_text("another passphrase\n")
    with pytest.raises(WrongPassphrase):
        source.open(allow_insecure=True)


def test_what_exists_is_never_written_over(source: KeySource) -> None:
    make(source)
    before = source.path.read_bytes()
    with pytest.raises(Conflict):
        make(source)
    assert source.path.read_bytes() == before


def test_a_key_of_another_use_is_no_operators(source: KeySource) -> None:
    key = SigningKey.generate()
    write_keyfile(
        source.path,
        {"seed": key.seed},
        [PublicEntry("envelope", key.public)],
        passphrase=PASSPHRASE,
        cost=Cost.INSECURE,
        label="asha",
        allow_insecure=True,
    )
    with pytest.raises(ConfigInvalid, match="not an operator's"):
        source.open(allow_insecure=True)


@pytest.mark.parametrize("name", ["", "a", "hub", "two words", "ä-name", "x" * 33, "-x"])
def test_a_name_must_fit_the_audit_log(source: KeySource, name: str) -> None:
    with pytest.raises(Malformed):
        make(source, name)
    assert not source.path.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"kid": "A" * 43},
        {"key": "A" * 43},
        {"key": b64u(bytes([1]) + bytes(31))},
        {"key": "short"},
        {"typ": "hx-keyfile"},
        {"v": 2},
        {"name": "hub"},
        {"name": 7},
        {"more": 1},
    ],
)
def test_a_public_file_must_hold_together(source: KeySource, change: dict[str, object]) -> None:
    path = source.path.with_name("asha.pub")
    whole = json.loads(public_bytes(make(source)))
    path.write_text(json.dumps(whole | change))
    with pytest.raises(ExchangeError):
        read_public(path)


def test_an_endless_public_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.pub"
    path.write_bytes(b" " * 100_000)
    with pytest.raises(Malformed):
        read_public(path)


@pytest.mark.parametrize(
    ("env", "allowed"),
    [
        ({}, False),
        ({"HOMEWARD_INSECURE_KDF": "1"}, False),
        ({"HOMEWARD_ENVIRONMENT": "development"}, False),
        ({"HOMEWARD_INSECURE_KDF": "1", "HOMEWARD_ENVIRONMENT": "production"}, False),
        ({"HOMEWARD_INSECURE_KDF": "1", "HOMEWARD_ENVIRONMENT": "development"}, True),
    ],
)
def test_a_test_cost_needs_both_words(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], allowed: bool
) -> None:
    for name in ("HOMEWARD_INSECURE_KDF", "HOMEWARD_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert insecure_allowed() is allowed
