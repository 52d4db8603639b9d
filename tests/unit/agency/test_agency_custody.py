"""Custody: the system's keyring as a setting, and the recovery key in a safe."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import keyring
import keyring.backend
import keyring.backends.fail
import keyring.errors
import pyrage
import pytest

from exchange.member import os_keyring
from exchange.member.home import Home
from exchange_schemas.errors import ConfigInvalid, MissingExtra
from tests.unit.agency.cli_runner import CommandLine, secret_file

SECRET = b"four random words here"


class FileKeyring(keyring.backend.KeyringBackend):
    """A real backend of the library that keeps its entries in a file of the test."""

    priority = 5  # type: ignore[assignment]

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def _entries(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.path.read_text()) if self.path.exists() else {}
        return found

    def get_password(self, service: str, username: str) -> str | None:
        return self._entries().get(f"{service}:{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self.path.write_text(json.dumps({**self._entries(), f"{service}:{username}": password}))

    def delete_password(self, service: str, username: str) -> None:
        entries = self._entries()
        if entries.pop(f"{service}:{username}", None) is None:
            raise keyring.errors.PasswordDeleteError("not there")
        self.path.write_text(json.dumps(entries))


@pytest.fixture
def backend(tmp_path: Path) -> FileKeyring:
    before, mine = keyring.get_keyring(), FileKeyring(tmp_path / "keyring.json")
    keyring.set_keyring(mine)
    yield mine  # type: ignore[misc]
    keyring.set_keyring(before)


@pytest.fixture
def here(
    tmp_path: Path, home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    """The command line for a founded agency."""
    monkeypatch.setenv("HOMEWARD_INSECURE_KDF", "1")
    return CommandLine(capsys, monkeypatch).of("--home", home.path, "--user", "amal")


def test_a_passphrase_in_the_keyring_opens_the_folder_where_that_is_wanted(
    here: CommandLine, backend: FileKeyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = secret_file(tmp_path / "pass", SECRET)
    here("user", "remember", "--passphrase-file", secret)
    assert SECRET.decode() in backend.path.read_text()
    monkeypatch.setenv("HOMEWARD_KEYRING", "1")
    assert here("record", "list", "--json").lines == []
    assert "no longer" in here("user", "forget").out
    assert "is not in" in here("user", "forget").out
    assert here("record", "list", ok=False).code == 1


def test_a_wrong_passphrase_is_not_remembered(
    here: CommandLine, backend: FileKeyring, tmp_path: Path
) -> None:
    wrong = secret_file(tmp_path / "wrong", b"another passphrase")
    assert here("user", "remember", "--passphrase-file", wrong, ok=False).code == 1
    assert not backend.path.exists()


def test_a_machine_without_a_keyring_says_so(
    here: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keyring.get_keyring()
    keyring.set_keyring(keyring.backends.fail.Keyring())
    try:
        secret = secret_file(tmp_path / "pass", SECRET)
        said = here("user", "remember", "--passphrase-file", secret, ok=False)
        assert (said.code, "no keyring that keeps secrets" in said.err) == (1, True)
    finally:
        keyring.set_keyring(before)


def test_a_refusing_keyring_is_an_error_in_words(backend: FileKeyring) -> None:
    def locked(*_: object) -> None:
        raise keyring.errors.KeyringLocked("locked")

    backend.get_password = backend.set_password = backend.delete_password = locked  # type: ignore[method-assign,assignment]
    for work in (
        lambda: os_keyring.recall("ngo", "amal"),
        lambda: os_keyring.remember("ngo", "amal", SECRET),
        lambda: os_keyring.forget("ngo", "amal"),
    ):
        with pytest.raises(ConfigInvalid, match="KeyringLocked"):
            work()


def test_without_the_extras_the_message_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from exchange_keys.agefile import seal_with_passphrase

    monkeypatch.setitem(sys.modules, "keyring", None)
    monkeypatch.setitem(sys.modules, "pyrage", None)
    with pytest.raises(MissingExtra) as caught:
        os_keyring.recall("ngo", "amal")
    assert "[keyring]" in str(caught.value.hint)
    with pytest.raises(MissingExtra) as caught:
        seal_with_passphrase(b"x", SECRET)
    assert "[recovery]" in str(caught.value.hint)


# -- recovery ------------------------------------------------------------------------------------------


def test_the_age_file_opens_a_backup_when_every_passphrase_is_gone(
    here: CommandLine, home: Home, tmp_path: Path
) -> None:
    secret = secret_file(tmp_path / "pass", SECRET)
    age, words = tmp_path / "recovery.age", secret_file(tmp_path / "age", b"words for the safe")
    add = ("record", "add", "--set", "sex=female", "--passphrase-file", secret)
    here(*add)
    make = ("recovery", "make", "--passphrase-file", secret, "--age-passphrase-file", words)
    here(*make, "--out", age)
    assert age.read_bytes().startswith(b"age-encryption.org/v1")
    assert here(*make, "--out", age, ok=False).code == 1
    copy = tmp_path / "copy"
    shutil.copytree(home.path, copy)
    for file in (copy / "users").iterdir():
        file.unlink()
    maria = CommandLine(here.capsys, here.monkeypatch).of("--home", copy, "--user", "maria")
    fresh = secret_file(tmp_path / "new", b"maria's new passphrase")
    restore = ("recovery", "restore", "--key", age, "--new-passphrase-file", fresh)
    wrong = secret_file(tmp_path / "wrong", b"wrong words for it")
    assert maria(*restore, "--age-passphrase-file", wrong, ok=False).code == 1
    maria(*restore, "--age-passphrase-file", words)
    assert len(maria("record", "list", "--json", "--passphrase-file", fresh).lines) == 1


def test_an_age_recipient_may_hold_it(here: CommandLine, home: Home, tmp_path: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    secret, age = secret_file(tmp_path / "pass", SECRET), tmp_path / "recovery.age"
    make = ("recovery", "make", "--passphrase-file", secret, "--out", age, "--recipient")
    assert here(*make, "age1nonsense", ok=False).code == 1
    here(*make, str(identity.to_public()))
    fresh = secret_file(tmp_path / "new", b"maria's new passphrase")
    maria = CommandLine(here.capsys, here.monkeypatch).of("--home", home.path, "--user", "maria")
    restore = ("recovery", "restore", "--key", age, "--new-passphrase-file", fresh, "--identity-file")
    for text in (str(pyrage.x25519.Identity.generate()), "nonsense", "a\nb"):
        assert maria(*restore, secret_file(tmp_path / "other", text.encode()), ok=False).code == 1
    mine = secret_file(tmp_path / "id", f"# created\n{identity}".encode())
    maria(*restore, mine)
    assert maria(*restore, mine, ok=False).code != 0
    assert maria("user", "list", "--json").json == [
        {"user": "amal", "role": "approver"},
        {"user": "maria", "role": "caseworker"},
    ]


def test_an_older_recovery_key_another_agencys_and_a_damaged_box_are_refused(
    here: CommandLine, home: Home, tmp_path: Path
) -> None:
    # Sealed to an age identity: the cost of a passphrase has the test above.
    identity = pyrage.x25519.Identity.generate()
    secret = secret_file(tmp_path / "pass", SECRET)
    for name in ("old", "new"):
        make = ("recovery", "make", "--passphrase-file", secret, "--recipient", str(identity.to_public()))
        here(*make, "--out", tmp_path / name)
    fresh = secret_file(tmp_path / "fresh", b"maria's new passphrase")
    mine = secret_file(tmp_path / "id", str(identity).encode())
    maria = CommandLine(here.capsys, here.monkeypatch).of("--home", home.path, "--user", "maria")
    restore = ("recovery", "restore", "--new-passphrase-file", fresh, "--identity-file", mine, "--key")
    assert "another recovery key" in maria(*restore, tmp_path / "old", ok=False).err
    box = home.path / "keys" / "recovery.box"
    whole = json.loads(box.read_text())
    box.write_text(json.dumps({**whole, "box": "A" * len(whole["box"])}, separators=(",", ":")))
    assert "damaged" in maria(*restore, tmp_path / "new", ok=False).err
    box.unlink()
    assert "no recovery box" in maria(*restore, tmp_path / "new", ok=False).err
    assert maria(*restore, secret, ok=False).code == 1
