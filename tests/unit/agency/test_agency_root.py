"""The root on a machine of its own: what it is asked is shown, and nothing but its own events is signed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exchange.directory import events
from exchange.directory.enrolment import NewKey
from exchange.member.root_request import EnrolRequest, RootEvents, read_request
from exchange_keys.jws import Signed, verify
from exchange_keys.root import RootKey
from exchange_keys.sealing import EncKey
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import decode, encode
from exchange_schemas.errors import Conflict, KeyWrongUse, Malformed, SenderMismatch
from exchange_schemas.ids import AgencyId
from tests.unit.agency.cli_runner import CommandLine, secret_file

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ORIGIN = "homeward.test"
NGO = AgencyId("ngo")
ROOT = RootKey.generate()
ENC = EncKey.generate().public
APPROVER = SigningKey.generate()


def unsigned(signed: Signed) -> Signed:
    return Signed(signed.payload, ())


def key_events(**changes: object) -> RootEvents:
    """A new enc key, not signed yet."""
    values: dict[str, object] = {
        "origin": ORIGIN,
        "iat": NOW,
        "agency": NGO,
        "use": "enc",
        "key": ENC,
        "nbf": NOW,
        "exp": NOW + timedelta(days=730),
        "signers": [APPROVER],
    }
    signed = events.key_event(**(values | changes))  # type: ignore[arg-type]
    return RootEvents(ORIGIN, NGO, (unsigned(signed),), events.key_bytes_of(ENC))


def test_both_halves_of_the_root_sign_what_was_asked(tmp_path: Path) -> None:
    key_events().write(tmp_path / "asked")
    read = read_request(tmp_path / "asked")
    assert isinstance(read, RootEvents)
    done = read.signed_by(ROOT)
    done.write(tmp_path / "signed")
    again = read_request(tmp_path / "signed")
    assert again == done
    keys = {key.kid: key for key in ROOT.publics}
    assert set(verify(done.events[0], "hx-event", origin=ORIGIN, key_for=keys.get)) == set(keys)
    with pytest.raises(Conflict):
        done.signed_by(ROOT)


def test_a_new_root_is_signed_by_the_new_and_then_by_the_old_one() -> None:
    new = RootKey.generate()
    event = events.root_set_event(origin=ORIGIN, iat=NOW, agency=NGO, root=new.public, signers=new.signers)
    asked = RootEvents(ORIGIN, NGO, (unsigned(event),), events.key_bytes_of(new.public.mldsa65))
    (facts,) = asked.facts()
    assert facts["event"] == "root-set"
    assert len(asked.signed_by(new).signed_by(ROOT).events[0].signatures) == 4


def test_only_events_of_this_agency_about_its_keys_are_signed() -> None:
    admit = events.admit_event(
        origin=ORIGIN, iat=NOW, agency=NGO, name="N", kind="ngo", country="XK", public_authority=False,
        contact="d@n.example", root=ROOT.public.digest, signers=[APPROVER],
    )  # fmt: skip
    suspend = events.suspend_event(origin=ORIGIN, iat=NOW, agency=NGO, reason="security", signers=[APPROVER])
    for event in (admit, suspend):
        with pytest.raises(SenderMismatch):
            RootEvents(ORIGIN, NGO, (unsigned(event),), {}).signed_by(ROOT)
    for asked in (key_events(agency=AgencyId("other")), key_events(origin="other.test")):
        with pytest.raises(SenderMismatch):
            asked.signed_by(ROOT)


def test_a_key_that_is_not_the_named_one_or_cannot_work_is_not_signed() -> None:
    asked = key_events()
    with pytest.raises(Malformed):
        replace(asked, keys={}).signed_by(ROOT)
    other = EncKey.generate().public
    with pytest.raises(Malformed):
        replace(asked, keys={ENC.kid: other.raw}).signed_by(ROOT)
    wrong = (NewKey("enc", APPROVER.public, NOW, NOW + timedelta(days=1)),)
    request = EnrolRequest(ORIGIN, NOW, NGO, "N", "ngo", "XK", False, "d@n.example", wrong)
    with pytest.raises((KeyWrongUse, Malformed)):
        request.signed_by(ROOT)


def test_a_file_of_anything_else_is_refused(tmp_path: Path) -> None:
    key_events().write(tmp_path / "asked")
    whole = decode((tmp_path / "asked").read_bytes().rstrip(), limit=10**6)
    path = tmp_path / "changed"
    for change in (
        {"v": 2},
        {"typ": "hx-proposal"},
        {"events": []},
        {"events": 7},
        {"keys": []},
        {"keys": {"x": "y"}},
        {"agency": "NOT VALID"},
        {"origin": 7},
    ):
        path.write_bytes(encode(whole | change))
        with pytest.raises(Malformed):
            read_request(path)
    for data in (b"", b"{}", b"[]", b'{"v": 1}', encode({"v": 1, "typ": "hx-enrol-request"})):
        path.write_bytes(data)
        with pytest.raises(Malformed):
            read_request(path)


@pytest.fixture
def here(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setenv("HOMEWARD_INSECURE_KDF", "1")
    monkeypatch.delenv("HOMEWARD_HOME", raising=False)
    return CommandLine(capsys, monkeypatch)


def test_the_root_commands_need_no_folder_and_no_network(here: CommandLine, tmp_path: Path) -> None:
    secret = secret_file(tmp_path / "pass", b"a root's long passphrase")
    by = ["--root-passphrase-file", secret]
    made = here("root", "new", "--agency", "ngo", "--out", tmp_path / "root.key", *by, "--json").json
    assert here("root", "show", tmp_path / "root.key", "--json").json["fingerprint"] == made["fingerprint"]
    assert here("root", "new", "--agency", "ngo", "--out", tmp_path / "root.key", *by, ok=False).code != 0
    key_events().write(tmp_path / "asked")
    assert here("root", "show", tmp_path / "asked", "--json").json["asks"][0]["use"] == "enc"
    sign = ["root", "sign", tmp_path / "asked", "--root-key", tmp_path / "root.key", *by]
    said = here(*sign, "--out", tmp_path / "signed", "--yes")
    assert "use: enc" in said.err
    assert here("root", "show", tmp_path / "signed", "--json").json["signatures"] == 2
    assert here(*sign, "--out", tmp_path / "no", ok=False).code == 1
    assert not (tmp_path / "no").exists()


def test_another_agencys_root_does_not_sign(here: CommandLine, tmp_path: Path) -> None:
    secret = secret_file(tmp_path / "pass", b"a root's long passphrase")
    by = ["--root-passphrase-file", secret]
    here("root", "new", "--agency", "other", "--out", tmp_path / "root.key", *by)
    key_events().write(tmp_path / "asked")
    said = here(
        "root", "sign", tmp_path / "asked", "--root-key", tmp_path / "root.key", *by,
        "--out", tmp_path / "signed", "--yes", ok=False,
    )  # fmt: skip
    assert (said.code, "other root" in said.err) == (4, True)
    assert not (tmp_path / "signed").exists()
