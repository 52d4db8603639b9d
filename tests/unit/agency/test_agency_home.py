"""The agency's folder: founding, users, passphrases, pins, permissions, locks."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path

import pytest

from exchange.member.deployment import Deployment
from exchange.member.founding import found_agency
from exchange.member.home import Home
from exchange.member.keyring import load_keys
from exchange.member.locks import hold
from exchange.member.profile import Profile
from exchange.member.root_file import read_root
from exchange.member.users import NewUser, list_users, open_user, write_user
from exchange_schemas.codec import encode
from exchange_schemas.errors import ConfigInvalid, Conflict, KeyFileCorrupt, StoreLocked, WrongPassphrase
from tests.unit.agency.agency_samples import PASSPHRASE, ROOT_PASSPHRASE


def test_founding_gives_keys_a_root_and_an_approver(home: Home, profile: Profile) -> None:
    user = open_user(home, "amal", PASSPHRASE, allow_insecure=True)
    assert user.approver is not None
    keys = load_keys(home.keys_file, user.store_key, profile)
    assert len(keys.kids()) == 3
    root = read_root(home.root_file, passphrase=ROOT_PASSPHRASE, allow_insecure=True)
    assert len(root.publics) == 2
    assert home.profile() == profile


def test_everything_is_for_its_owner_alone(home: Home) -> None:
    for path in [home.path, *home.path.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path.name


def test_an_agency_is_never_founded_over_another(home: Home, profile: Profile) -> None:
    before = home.root_file.read_bytes()
    with pytest.raises(ConfigInvalid):
        found_agency(home.path, profile, NewUser("amal", PASSPHRASE, True), root_passphrase=ROOT_PASSPHRASE)
    assert home.root_file.read_bytes() == before


def test_an_init_that_did_not_finish_can_be_run_again(home: Home, profile: Profile) -> None:
    home.profile_file.unlink()
    found_agency(home.path, profile, NewUser("noor", PASSPHRASE, True), root_passphrase=ROOT_PASSPHRASE)
    assert home.users() == ("noor",)


def test_a_second_user_opens_the_same_keys_and_a_caseworker_is_no_approver(
    home: Home, profile: Profile
) -> None:
    first = open_user(home, "amal", PASSPHRASE, allow_insecure=True)
    write_user(home, NewUser("noor", b"noor's own long words", True), first.store_key, None)
    second = open_user(home, "noor", b"noor's own long words", allow_insecure=True)
    assert second.approver is None
    assert load_keys(home.keys_file, second.store_key, profile).kids()
    assert list_users(home) == [("amal", "approver"), ("noor", "caseworker")]


def test_a_user_is_never_overwritten(home: Home) -> None:
    first = open_user(home, "amal", PASSPHRASE, allow_insecure=True)
    with pytest.raises(Conflict):
        write_user(home, NewUser("amal", b"another long passphrase", True), first.store_key, None)


def test_a_wrong_passphrase_is_told_from_a_corrupt_file(home: Home) -> None:
    with pytest.raises(WrongPassphrase):
        open_user(home, "amal", b"not the passphrase", allow_insecure=True)
    file = home.user_file("amal")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(KeyFileCorrupt):
        open_user(home, "amal", PASSPHRASE, allow_insecure=True)


def test_an_unknown_user_is_named_as_such(home: Home) -> None:
    with pytest.raises(ConfigInvalid, match="no such user"):
        open_user(home, "nobody", PASSPHRASE, allow_insecure=True)


@pytest.mark.parametrize("name", ["", "../amal", "Amal", "a" * 41, "a/b", ".hidden"])
def test_a_user_name_is_never_a_path(home: Home, name: str) -> None:
    with pytest.raises(ConfigInvalid):
        home.user_file(name)


def test_insecure_keys_are_refused_unless_allowed(home: Home) -> None:
    with pytest.raises(ConfigInvalid):
        open_user(home, "amal", PASSPHRASE, allow_insecure=False)


def test_changed_pins_are_noticed(home: Home, profile: Profile) -> None:
    user = open_user(home, "amal", PASSPHRASE, allow_insecure=True)
    changed = json.loads(home.profile_file.read_bytes())
    changed["deployment"]["base_url"] = "https://evil.example"
    home.profile_file.write_bytes(encode(changed))
    with pytest.raises(ConfigInvalid, match=r"agency\.json"):
        load_keys(home.keys_file, user.store_key, home.profile())


def test_a_folder_without_an_agency_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        Home(tmp_path).profile()
    assert caught.value.hint is not None


def test_a_deployment_file_is_read_back_as_written(deployment: Deployment) -> None:
    assert Deployment.from_bytes(deployment.to_bytes()) == deployment


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("base_url", "http://hub.example"),
        ("base_url", "https://hub.example/"),
        ("base_url", "https://user:pw@hub.example"),
        ("base_url", "https://[::1"),
        ("base_url", "ftp://hub.example"),
        ("base_url", 1),
        ("origin", "Not A Name"),
        ("governance", {"k": 0, "operators": []}),
        ("governance", {"k": 2, "operators": [{"name": "a", "kid": "A" * 43, "key": "A" * 43}]}),
        ("governance", {"k": 1, "operators": [{"name": "a", "kid": "x", "key": "y"}]}),
        ("governance", {"k": 1, "operators": [[]]}),
        ("governance", []),
        ("audit_vkey", ""),
    ],
)
def test_a_bad_deployment_file_names_the_member(deployment: Deployment, member: str, value: object) -> None:
    changed = {**json.loads(deployment.to_bytes()), member: value}
    with pytest.raises(ConfigInvalid) as caught:
        Deployment.from_bytes(json.dumps(changed).encode())
    assert str(caught.value.field).startswith(member)


def test_a_deployment_file_with_a_missing_or_unknown_member_is_refused(deployment: Deployment) -> None:
    changed = json.loads(deployment.to_bytes())
    with pytest.raises(ConfigInvalid):
        Deployment.from_bytes(json.dumps({**changed, "more": 1}).encode())
    del changed["audit_vkey"]
    with pytest.raises(ConfigInvalid):
        Deployment.from_bytes(json.dumps(changed).encode())


@pytest.mark.parametrize(
    ("member", "value"),
    [("name", ""), ("name", "x" * 121), ("kind", "circus"), ("country", "xx"), ("contact", "a\nb")],
)
def test_a_profile_that_no_directory_would_take_is_refused(profile: Profile, member: str, value: str) -> None:
    changed = {**json.loads(profile.to_bytes()), member: value}
    with pytest.raises(ConfigInvalid) as caught:
        Profile.from_bytes(encode(changed))
    assert caught.value.field == member


def test_a_lock_is_waited_for_and_then_named(tmp_path: Path) -> None:
    begun, done = threading.Event(), threading.Event()

    def busy() -> None:
        with hold(tmp_path / "lock", what="sending"):
            begun.set()
            done.wait(20)

    thread = threading.Thread(target=busy)
    thread.start()
    assert begun.wait(20)
    with (
        pytest.raises(StoreLocked, match="sending"),
        hold(tmp_path / "lock", what="sending", wait_seconds=0.1),
    ):
        pass
    done.set()
    thread.join()
    with hold(tmp_path / "lock", what="sending"):
        pass
