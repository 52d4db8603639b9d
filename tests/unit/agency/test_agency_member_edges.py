"""Edges of what every member does: receipts, clocks, files, root, users, finality, exit codes."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import click
import pytest
import requests

from exchange.agency.finality import may_pass
from exchange.log.checkpoint import Checkpoint, sign_checkpoint, vkey
from exchange.log.proof import format_proof
from exchange.log.tree import Frontier, leaf_hash, proof_at_append
from exchange.member.cli import exits
from exchange.member.cli.progress import counted, transfer_bar
from exchange.member.files import read_bounded, write_private
from exchange.member.founding import found_agency
from exchange.member.home import Home
from exchange.member.profile import Profile
from exchange.member.receipts import Collected, Receipts
from exchange.member.root_file import read_root
from exchange.member.skew import check_skew, measured_skew
from exchange.member.store import Store
from exchange.member.transport import RawReceipt
from exchange.member.users import NewUser
from exchange.net.wire import Call, Wire
from exchange_keys.signing import SigningKey
from exchange_schemas import errors
from exchange_schemas.codec import JsonValue, b64u, encode
from tests.unit.agency.agency_samples import PASSPHRASE, ROOT_PASSPHRASE

LOG = "exchange.example/audit"
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


class Log:
    """A tiny audit log that signs what it holds."""

    def __init__(self) -> None:
        self.key = SigningKey.generate()
        self.frontier = Frontier.empty()

    @property
    def vkey(self) -> str:
        return vkey(LOG, self.key.public.raw)

    def receipt(self, **changes: JsonValue) -> dict[str, JsonValue]:
        """The receipt of a new entry."""
        entry: dict[str, JsonValue] = {
            "id": "entry-1", "act": "inbox:list", "out": "allow", "org": "ngo-a", "own": ["ngo-a"],
            "req": "request", "ts": 1_795_000_000_000_000, **changes,
        }  # fmt: skip
        data = encode({name: value for name, value in entry.items() if value is not None})
        before = self.frontier
        self.frontier = before.append(leaf_hash(data))
        note = sign_checkpoint(Checkpoint(LOG, self.frontier.size, self.frontier.root()), self.key)
        proof = format_proof(before.size, proof_at_append(before), note)
        return {"entry": b64u(data), "proof": proof}


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def receipts(store: Store, log: Log) -> Receipts:
    return Receipts(store, log.vkey, "ngo-a")


# -- receipts ----------------------------------------------------------------------------------------------


def test_a_receipt_is_verified_and_kept(receipts: Receipts, log: Log) -> None:
    receipts.keep(RawReceipt(log.receipt(), "request"))
    receipts.keep(RawReceipt(log.receipt(id="entry-2", rsn="FIELD_DENIED", out="deny"), "request"))
    first, second = receipts.each()
    assert (first.id, first.outcome, first.index) == ("entry-1", "allow", 0)
    assert (second.id, second.reason, second.index) == ("entry-2", "FIELD_DENIED", 1)
    assert first.at == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=1_795_000_000_000_000)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"req": "another"}, errors.ProofInvalid),
        ({"org": "other", "own": ["other"]}, errors.EntryInvalid),
        ({"id": None}, errors.EntryInvalid),
        ({"ts": "soon"}, errors.EntryInvalid),
    ],
)
def test_a_receipt_that_is_not_for_this_is_refused(
    receipts: Receipts, log: Log, changes: dict[str, JsonValue], error: type[errors.ExchangeError]
) -> None:
    with pytest.raises(error):
        receipts.keep(RawReceipt(log.receipt(**changes), "request"))


@pytest.mark.parametrize(
    "value", [None, "text", {}, {"entry": "AA", "proof": 1}, {"entry": "AA", "proof": "x"}]
)
def test_what_is_no_receipt_is_refused(receipts: Receipts, value: JsonValue) -> None:
    with pytest.raises(errors.ProofInvalid):
        receipts.keep(RawReceipt(value, "request"))


def test_a_repeated_answer_may_bring_the_first_receipt_again(receipts: Receipts, log: Log) -> None:
    receipts.keep(RawReceipt(log.receipt(req="earlier"), "request", first=False))
    assert [kept.id for kept in receipts.each()] == ["entry-1"]


def test_two_trees_of_one_size_are_a_fork(receipts: Receipts, log: Log) -> None:
    receipts.keep(RawReceipt(log.receipt(), "request"))
    log.frontier = Frontier.empty()
    with pytest.raises(errors.LogFork):
        receipts.keep(RawReceipt(log.receipt(id="entry-9"), "request"))


def test_noted_receipts_are_fetched_and_must_be_the_ones_asked_for(receipts: Receipts, log: Log) -> None:
    receipts.note("entry-1")
    answers: dict[str, dict[str, JsonValue]] = {"entry-1": log.receipt(id="entry-7")}
    with pytest.raises(errors.ProofInvalid):
        receipts.collect(answers.__getitem__)
    answers["entry-1"] = log.receipt()
    assert receipts.collect(answers.__getitem__) == Collected(1, ())
    receipts.note("entry-1")
    assert receipts.collect(answers.__getitem__) == Collected(0, ())


def test_an_entry_that_the_hub_lost_is_told_every_time_and_stops_no_other(
    receipts: Receipts, log: Log
) -> None:
    for name in ("entry-0", "entry-1", "entry-2"):
        receipts.note(name)
    held = log.receipt()

    def fetch(ident: str) -> dict[str, JsonValue]:
        if ident == "entry-1":
            return held
        raise errors.NotFound("there is nothing here that the caller may know of")

    assert receipts.collect(fetch) == Collected(1, ("entry-0", "entry-2"))
    assert receipts.collect(fetch) == Collected(0, ("entry-0", "entry-2"))
    assert [kept.id for kept in receipts.each()] == ["entry-1"]


# -- clocks ------------------------------------------------------------------------------------------------


def test_the_skew_is_measured_from_the_date_header() -> None:
    ahead = {"Date": format_datetime(NOW - timedelta(seconds=300), usegmt=True)}
    assert measured_skew(ahead, NOW) == 300
    assert measured_skew({"Date": "Mon, 23 Nov 2026 12:00:10 -0000"}, NOW) == -10
    assert measured_skew({"Date": "yesterday"}, NOW) is None
    assert measured_skew({}, NOW) is None
    check_skew({}, NOW)
    with pytest.raises(errors.ClockSkew, match="300 seconds ahead of"):
        check_skew(ahead, NOW)


# -- files -------------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    write_private(path, b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("exchange_keys.durable.os.fsync", full)
    with pytest.raises(errors.StorageFull):
        write_private(path, b"new")
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["f"]


def test_a_file_that_is_too_long_or_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    assert read_bounded(path, limit=5, what="list") == b"12345"
    with pytest.raises(errors.ConfigInvalid, match="list: longer than 4"):
        read_bounded(path, limit=4, what="list")
    with pytest.raises(errors.ConfigInvalid, match="list: No such file"):
        read_bounded(tmp_path / "none", limit=4, what="list")


def test_a_root_key_that_is_elsewhere_is_asked_for(home: Home) -> None:
    home.root_file.unlink()
    with pytest.raises(errors.ConfigInvalid, match="root key"):
        read_root(home.root_file, passphrase=ROOT_PASSPHRASE, allow_insecure=True)


def test_weak_passphrases_are_refused_before_anything_is_made(tmp_path: Path, profile: Profile) -> None:
    with pytest.raises(errors.ConfigInvalid):
        found_agency(tmp_path / "n", profile, NewUser("amal", b"short"), root_passphrase=ROOT_PASSPHRASE)
    with pytest.raises(errors.ConfigInvalid):
        found_agency(tmp_path / "n", profile, NewUser("amal", PASSPHRASE), root_passphrase=b"short")
    assert not (tmp_path / "n" / "agency.json").exists()


# -- what may pass, and exit codes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "passes", "code"),
    [
        (errors.HubUnreachable("x"), True, exits.UNREACHABLE),
        (errors.Unavailable("x"), True, exits.UNREACHABLE),
        (errors.RateLimited("x"), True, exits.UNREACHABLE),
        (errors.ClockSkew("x"), True, exits.FAILED),
        (errors.Unauthorized("x"), True, exits.REFUSED),
        (errors.HubRefused("x"), True, exits.REFUSED),
        (errors.HubRefused("x", problem={"code": "NEW"}), False, exits.REFUSED),
        (errors.FieldDenied("x"), False, exits.REFUSED),
        (errors.TooLarge("x"), False, exits.REFUSED),
        (errors.ProofInvalid("x"), True, exits.ALARM),
        (errors.SigInvalid("x"), False, exits.ALARM),
        (errors.Malformed("x"), False, exits.FAILED),
        (errors.StorageFull("x"), True, exits.FAILED),
    ],
)
def test_every_error_has_its_exit_code_and_a_job_is_dropped_only_for_good(
    error: errors.ExchangeError, passes: bool, code: int
) -> None:
    assert may_pass(error) is passes
    assert exits.exit_code(error) == code


@pytest.mark.parametrize(
    ("error", "words", "code"),
    [
        (OSError(errno.ENOSPC, "x"), "disk of this machine is full", 1),
        (OSError(errno.EACCES, "Permission denied"), "Permission denied", 1),
        (click.Abort(), "stopped", 1),
        (click.ClickException("bad"), "bad", 1),
        (click.UsageError("wrong"), "wrong", 64),
        (errors.FieldDenied("no", rule="C11-field"), "no [C11-field] (FIELD_DENIED)", 2),
    ],
)
def test_every_error_is_a_plain_sentence(
    error: BaseException, words: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exits.report(error) == code
    assert words in capsys.readouterr().err


# -- the wire ----------------------------------------------------------------------------------------------


class Session(requests.Session):
    """A session whose requests end as a test says."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error, self.calls = error, 0

    def request(self, *_: Any, **__: Any) -> requests.Response:
        self.calls += 1
        raise self.error


@pytest.mark.parametrize(
    ("error", "words", "calls"),
    [
        (requests.exceptions.SSLError("bad certificate"), "certificate", 1),
        (requests.exceptions.ReadTimeout("late"), "did not answer in time", 3),
        (requests.exceptions.ConnectionError("refused"), "cannot be reached", 3),
    ],
)
def test_what_the_network_does_is_one_plain_error(error: Exception, words: str, calls: int) -> None:
    session = Session(error)
    wire = Wire(sleep=lambda seconds: None, session=session)
    with pytest.raises(errors.HubUnreachable, match=words):
        wire.send(Call("GET", "https://hub.example/x", headers=dict))
    assert session.calls == calls
    with (
        pytest.raises(errors.HubUnreachable),
        wire.stream(Call("GET", "https://hub.example/x", headers=dict)),
    ):
        pass
    wire.close()


# -- progress ----------------------------------------------------------------------------------------------


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Standard error as a terminal, and no patience."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setattr("exchange.member.cli.progress.QUIET_SECONDS", -1.0)
    yield


def test_a_bar_shows_what_takes_long_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(counted(range(3), "searching", unit="records")) == [0, 1, 2]
    with transfer_bar() as on_bytes:
        on_bytes("uploading", 1, 2)
    assert capsys.readouterr().err == ""
    with terminal(monkeypatch):
        assert list(counted(range(3), "searching", unit="records", total=3)) == [0, 1, 2]
        with transfer_bar() as on_bytes:
            on_bytes("uploading", 1, 2)
    said = capsys.readouterr().err
    assert "searching" in said
    assert "uploading" in said
