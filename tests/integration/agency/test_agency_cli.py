"""The command line over the real hub: a caseworker's day from init to withdrawal, in the terminal's words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exchange_keys.jws import Signed
from exchange_schemas.limits import LIMITS
from tests.integration.agency.exchange_world import PASSPHRASE, ROOT_PASSPHRASE, Exchange
from tests.integration.agency.test_agency_attachments import picture
from tests.unit.agency.cli_runner import CommandLine, secret_file

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]

Make = Callable[..., CommandLine]


@pytest.fixture
def make(
    exchange: Exchange, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Make:
    """Make an admitted, synchronised agency with nothing but commands."""
    secret = secret_file(tmp_path / "user.pass", PASSPHRASE)
    root = secret_file(tmp_path / "root.pass", ROOT_PASSPHRASE)
    pins = tmp_path / "deployment.json"
    pins.write_bytes(exchange.deployment().to_bytes())
    bare = CommandLine(capsys, monkeypatch)

    def agency(name: str, *more: str, kind: str = "ngo") -> CommandLine:
        here = bare.of("--home", tmp_path / name, "--user", "amal", "--passphrase-file", secret)
        here(
            "init", "--deployment", pins, "--agency", name, "--name", name.title(), "--kind", kind,
            "--country", "IQ", "--contact", f"desk@{name}.example", "--root-passphrase-file", root,
            "--insecure-kdf", *more,
        )  # fmt: skip
        bundle = tmp_path / f"{name}.enrol"
        said = here("enrol", "--out", bundle, "--root-passphrase-file", root)
        assert "fingerprint: " in said.out
        exchange.admit(Signed.from_bytes(bundle.read_bytes(), LIMITS.enrolment_bytes))
        here("directory", "sync")
        return here

    return agency


RECORD = (
    "record", "add",
    "--set", 'name_given={"text": "أمينة", "script": "Arab", "language": "ar"}',
    "--set", "sex=female",
    "--set", 'age_range={"min": 5, "max": 7, "as_of": "2026-05-01"}',
    "--set", 'current_area={"country": "IQ", "area": "IQ-NI"}',
)  # fmt: skip


def test_a_caseworkers_day(make: Make, tmp_path: Path) -> None:
    ngo, embassy = make("ngo"), make("embassy", "--public-authority", kind="embassy")
    ngo("directory", "sync")
    assert "embassy" in ngo("directory", "show").out
    assert len(ngo("directory", "show", "embassy", "--json").json["keys"]) == 6
    ref = ngo(*RECORD, "--json").json["ref"]
    ngo("record", "photo", ref, picture(tmp_path / "p.jpg", 80), "--taken-on", "2026-05")
    ngo(
        "record", "decision", ref, "--procedure", "bia", "--outcome", "for_sharing", "--body", "BIA panel",
        "--date", datetime.now(UTC).date().isoformat(),
    )  # fmt: skip
    assert "أمينة" in ngo("record", "show", ref[:6]).out
    assert ref in ngo("record", "find", "أمينة", "female").out
    granted = ngo(
        "consent", "grant", ref, "--to", "embassy", "--purpose", "trace", "--kind", "found_notice",
        "--basis", "best_interests_decision", "--evidence", "file 12", "--screening", "cleared",
        "--screening-evidence", "form 3", "--days", "30", "--json",
    ).json  # fmt: skip
    cid = granted[0]["cid"]
    (listed,) = [line for line in ngo("consent", "list").out.splitlines() if cid in line]
    assert ref in listed, "whoever grants anew must see for whom"
    assert "name_given" in ngo("consent", "show", cid[:6]).out
    refused = ngo(
        "send", ref, "--kind", "found_notice", "--to", "embassy", "--field", "guardian_status", ok=False
    )
    assert refused.code == 2
    assert refused.err.splitlines()[0].startswith("error: guardian_status: not in the consent")
    assert refused.err.splitlines()[1].startswith("hint: ")
    would = ngo("consent", "check", ref, "--to", "embassy", "--kind", "found_notice")
    assert "embassy would receive: age_range, child_ref, current_area, name_given, photo, sex" in would.out
    more = ("--field", "sex", "--field", "marks", "--at-hub")
    refused = ngo("consent", "check", ref, "--to", "embassy", "--kind", "found_notice", *more, ok=False)
    assert (refused.code, "C11-field" in refused.out, "C17-kind" in refused.out) == (2, True, True)
    sent = ngo("send", ref, "--kind", "found_notice", "--to", "embassy", "--json").json
    gid = sent["grants"][0]["gid"]
    assert gid in embassy("inbox").out
    card = embassy("open", gid, "--save-photo", tmp_path / "out.jpg").out
    assert "أمينة" in card
    assert "Given name" in card
    assert (tmp_path / "out.jpg").read_bytes()[:3] == b"\xff\xd8\xff"
    machine = embassy("open", gid, "--json").json
    assert "أمينة" in embassy("open", gid, "--kept").out
    assert embassy("open", "A" * 22, "--kept", ok=False).code == 1
    assert embassy("inbox", "--json").json == []
    assert embassy("inbox", "--all", "--json").json[0]["state"] == "receipted"
    assert ngo("outbox", "--json").json[0]["outcome"] == "opened"
    assert {line["act"] for line in ngo("receipts", "--json").lines} >= {
        "envelope:deposit",
        "consent:register",
    }
    assert ngo("spool", "--json").json == []
    assert ngo("consent", "list", "--json").json[0]["status"] == "active"
    assert ngo("consent", "show", cid, "--json").json["recipient"] == "embassy"
    embassy("directory", "sync")
    assert cid in embassy("consent", "list", "--received").out
    assert machine["fields"]["name_given"]["text"] == "أمينة"
    assert "opened" in ngo("outbox").out
    assert "envelope:deposit" in ngo("receipts").out
    assert f"consent withdraw {cid}" in ngo("record", "withhold", ref, "--from", "kind:embassy").out
    assert "attested" in ngo("consent", "attest", "embassy", "--evidence", "file 12").out
    assert ngo("consent", "attest", "embassy", "--lift", "--json").json["arranges_release"] is False
    assert ngo("consent", "withdraw", cid).out.startswith("withdrawn; not fetched yet and deleted: 0; ")
    gone = embassy("open", gid, ok=False)
    assert gone.code == 2
    assert "CONSENT_WITHDRAWN" in gone.err
    deleted_and_confirmed(ngo, embassy, cid)


def test_a_consent_for_what_cannot_be_sent_yet_says_what_is_missing(make: Make) -> None:
    ngo, _ = make("ngo"), make("embassy", "--public-authority", kind="embassy")
    ref = ngo("record", "add", "--set", "name_given=أمينة", "--set", "birth_date=2020", "--json").json["ref"]
    ngo("record", "decision", ref, "--procedure", "bia", "--outcome", "for_sharing", "--body", "BIA panel")
    terms = (
        "--to", "embassy", "--purpose", "trace", "--kind", "found_notice",
        "--basis", "best_interests_decision", "--evidence", "file 12", "--screening", "cleared",
        "--screening-evidence", "form 3",
    )  # fmt: skip
    said = ngo("consent", "grant", ref, *terms).out
    for lacking in ("sex", "age_range", "current_area"):
        assert f"found_notice cannot be sent yet, it also needs {lacking}: enter it" in said
    checked = ngo("consent", "check", ref, "--to", "embassy", "--kind", "found_notice", ok=False)
    assert "found_notice needs sex [C17-kind]" in checked.out
    refused = ngo("send", ref, "--kind", "found_notice", "--to", "embassy", ok=False)
    assert refused.code == 2
    assert "hint: add it; a field of a record must also stand in the consent" in refused.err
    area = 'current_area={"country": "IQ"}'
    ngo("record", "edit", ref, "--set", "sex=female", "--set", "age_range=6-8", "--set", area)
    assert "cannot be sent yet" not in ngo("consent", "grant", ref, *terms).out
    ngo("send", ref, "--kind", "found_notice", "--to", "embassy")


def test_requests_are_asked_answered_and_seen_on_both_sides(make: Make) -> None:
    ngo, harbour = make("ngo"), make("harbour")
    ngo("directory", "sync")
    ref = ngo(*RECORD, "--json").json["ref"]
    ngo("record", "decision", ref, "--procedure", "bia", "--outcome", "for_sharing", "--body", "panel")
    ngo(
        "consent", "grant", ref, "--to", "harbour", "--purpose", "trace", "--kind", "found_notice",
        "--basis", "best_interests_decision", "--evidence", "file 12",
    )  # fmt: skip
    ngo("send", ref, "--kind", "found_notice", "--to", "harbour")
    (notice,) = harbour("inbox", "--json").json
    harbour("open", notice["gid"])
    due = (datetime.now(UTC) + timedelta(days=5)).date().isoformat()
    asked = harbour(
        "request", "ask", "--to", "ngo", "--field", "sex", "--field", "marks", "--need", "identify",
        "--reply-to", notice["gid"], "--reply-by", due,
    )  # fmt: skip
    assert "asked ngo (information_request" in asked.out
    (request,) = ngo("inbox", "--json").json
    ngo("open", request["gid"])
    assert "waits for an answer" in ngo("directory", "sync").out
    assert request["gid"] in ngo("request", "list", "--open").out
    assert ngo("request", "answer", request["gid"], "--refuse", "marks=maybe", ok=False).code == 64
    assert "given: child_ref, sex" in ngo("request", "answer", request["gid"], "--refuse", "marks=safety").out
    (reply,) = harbour("inbox", "--json").json
    harbour("open", reply["gid"])
    listed = harbour("request", "list").out
    assert "information_response" in listed
    assert "marks (safety)" in listed
    assert "requests: nothing" in harbour("request", "list", "--overdue").out
    assert harbour("request", "list", "--json").json[0]["given"] == ["sex"]
    assert harbour("request", "remind", request["gid"], "--reply-by", due, ok=False).code == 2
    assert harbour("request", "times", "--json").json[0]["answered"] == 1
    assert "harbour" in ngo("request", "times").out
    assert "information_request" in ngo("timeline", ref).out
    thread = ngo("timeline", ref, "--json").json[0]["thread"]
    assert "responsible: nobody" in harbour("timeline", "--thread", thread).out
    assert harbour("timeline", ok=False).code == 64


def deleted_and_confirmed(ngo: CommandLine, embassy: CommandLine, cid: str) -> None:
    """The recipient deletes what it had opened; the issuer sees who has answered."""
    assert cid in ngo("deletion", "list", "--unanswered").out
    (request,) = embassy("inbox", "--json").json
    embassy("open", request["gid"])
    assert "due: ngo asks for a deletion" in embassy("directory", "sync").out
    for wrong in (("--until", "2030-01-01"), ("--kept-by-law", "x", "--until", "2030-01-01", "--partly")):
        assert embassy("deletion", "answer", request["gid"], *wrong, ok=False).code == 64
    assert "deleted; ngo has the signed receipt" in embassy("deletion", "answer", request["gid"]).out
    (receipt,) = ngo("inbox", "--json").json
    ngo("open", receipt["gid"])
    assert ngo("deletion", "list", "--unanswered", "--json").json == {"asked": [], "owed": []}
    assert ngo("deletion", "list", "--json").json["asked"][0]["outcome"] == {"outcome": "deleted"}
    assert "deleted" in ngo("deletion", "list").out
    assert "asked embassy to delete" in ngo("deletion", "ask", cid).out
    assert (
        "nothing to withdraw"
        in ngo("consent", "withdraw", "--record", ngo("consent", "show", cid, "--json").json["record"]).out
    )


def test_a_hub_that_is_down_is_exit_3_and_the_spool_is_sent_later(make: Make, exchange: Exchange) -> None:
    ngo, _ = make("ngo"), make("harbour")
    ngo("directory", "sync")
    ref = ngo(*RECORD, "--json").json["ref"]
    ngo("record", "decision", ref, "--procedure", "bia", "--outcome", "for_sharing", "--body", "panel")
    ngo(
        "consent", "grant", ref, "--to", "harbour", "--purpose", "trace", "--kind", "found_notice",
        "--basis", "best_interests_decision", "--evidence", "file 12",
    )  # fmt: skip
    exchange.stop()
    failed = ngo("send", ref, "--kind", "found_notice", "--to", "harbour", ok=False)
    assert failed.code == 3
    assert "--resume" in failed.err
    assert "HUB_UNREACHABLE" in ngo("spool").out
    exchange.start()
    assert "sent found_notice to harbour" in ngo("send", "--resume").out
    assert ngo("send", "--resume").out == "the spool is empty\n"


def test_several_users_work_and_only_approvers_decide(make: Make, tmp_path: Path) -> None:
    ngo, _ = make("ngo"), make("harbour")
    noor = secret_file(tmp_path / "noor.pass", b"noor's own long passphrase")
    sara = secret_file(tmp_path / "sara.pass", b"sara's own long passphrase")
    root = tmp_path / "root.pass"
    ngo("user", "add", "noor", "--new-passphrase-file", noor, "--insecure-kdf")
    ngo(
        "user", "add", "sara", "--role", "approver", "--new-passphrase-file", sara,
        "--root-passphrase-file", root, "--insecure-kdf",
    )  # fmt: skip
    assert ngo("user", "list", "--json").json == [
        {"user": "amal", "role": "approver"},
        {"user": "noor", "role": "caseworker"},
        {"user": "sara", "role": "approver"},
    ]
    twice = ngo("user", "add", "noor", "--new-passphrase-file", noor, "--insecure-kdf", ok=False)
    assert twice.code == 2
    assert ngo("directory", "sync").err == ""
    home = tmp_path / "ngo"
    as_noor = ngo.of("--home", home, "--user", "noor", "--passphrase-file", noor)
    as_sara = ngo.of("--home", home, "--user", "sara", "--passphrase-file", sara)
    ref = as_noor(*RECORD, "--json").json["ref"]
    as_noor("record", "decision", ref, "--procedure", "bia", "--outcome", "for_sharing", "--body", "panel")
    grant = (
        "consent", "grant", ref, "--to", "harbour", "--purpose", "trace", "--kind", "found_notice",
        "--basis", "best_interests_decision", "--evidence", "file 12",
    )  # fmt: skip
    denied = as_noor(*grant, ok=False)
    assert denied.code == 2
    assert "only an approver" in denied.err
    as_sara("directory", "sync")
    as_sara(*grant)
    as_noor("send", ref, "--kind", "found_notice", "--to", "harbour")
    urgent = (*grant[:-4], "--basis", "vital_interest", "--evidence", "call of 3 May", "--second-user")
    alone = ngo(*urgent, "noor", "--second-passphrase-file", noor, ok=False)
    assert alone.code == 2
    assert "two approvers" in alone.err
    granted = ngo(*urgent, "sara", "--second-passphrase-file", sara, "--json").json
    assert len(granted) == 1
    withdrawn = ngo("consent", "withdraw", "--record", ref, "--reason", "decision_revoked", "--json").json
    assert len(withdrawn) == 2
    assert ngo("user", "list").out.count("approver") == 2
    assert ngo("directory", "sync", "--json").json["alarms"] == []
    assert "harbour" in ngo("directory", "show", "harbour").out


def test_an_agency_enrols_with_a_root_that_never_saw_its_machine(
    exchange: Exchange, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, root = secret_file(tmp_path / "u", PASSPHRASE), secret_file(tmp_path / "r", ROOT_PASSPHRASE)
    pins = tmp_path / "deployment.json"
    pins.write_bytes(exchange.deployment().to_bytes())
    bare = CommandLine(capsys, monkeypatch)
    here = bare.of("--home", tmp_path / "ngo", "--user", "amal", "--passphrase-file", secret)
    here(
        "init", "--deployment", pins, "--agency", "ngo", "--name", "Ngo", "--kind", "ngo", "--country", "IQ",
        "--contact", "desk@ngo.example", "--no-root", "--insecure-kdf",
    )  # fmt: skip
    assert not (tmp_path / "ngo" / "root.key").exists()
    asked, bundle, key = tmp_path / "asked", tmp_path / "ngo.enrol", tmp_path / "root.key"
    here("enrol", "--request", asked)
    bare("root", "new", "--agency", "ngo", "--out", key, "--root-passphrase-file", root)
    signed = ("root", "sign", asked, "--root-key", key, "--root-passphrase-file", root, "--yes")
    said = bare(*signed, "--out", bundle, "--json").json
    assert here("enrol", "--signed", bundle, "--json").json["fingerprint"] == said["fingerprint"]
    exchange.admit(Signed.from_bytes(bundle.read_bytes(), LIMITS.enrolment_bytes))
    assert "ALARM" not in here("directory", "sync").err
    here("directory", "watch")
    assert here("enrol", ok=False).code == 64
    other = exchange.folder / "other"
    stranger = bare.of("--home", other, "--user", "amal", "--passphrase-file", secret)
    exchange.found("other")
    assert stranger("enrol", "--signed", bundle, ok=False).code != 0


def test_keys_are_listed_and_changed_in_the_terminal(make: Make, tmp_path: Path) -> None:
    ngo = make("ngo")
    listed = ngo("keys", "list", "--json").json
    assert {one["key"]["use"] for one in listed} == {"approver", "auth", "enc", "envelope", "root"}
    assert not any(one["overdue"] for one in listed)
    assert "the enc key is changed" in ngo("keys", "rotate", "enc").out
    done = ngo("keys", "rotate", "all", "--json").json
    assert [(one["use"], one["finished"]) for one in done] == [
        ("auth", True), ("envelope", True), ("enc", True),
    ]  # fmt: skip
    assert "change by" in ngo("keys", "list").out
    assert all(one["finished"] for one in ngo("keys", "compromise", "all", "--yes", "--json").json)
    assert ngo("keys", "compromise", "enc", ok=False).code == 1
    assert ngo("keys", "rotate", "enc", "--root-request", tmp_path / "x", ok=False).code == 1
    assert ngo("keys", "rotate", "root", "--root-request", tmp_path / "x", ok=False).code == 1
    assert ngo("directory", "watch").code == 0


def test_an_approver_and_the_root_are_changed_in_the_terminal(make: Make, tmp_path: Path) -> None:
    ngo = make("ngo")
    root, new = secret_file(tmp_path / "r", ROOT_PASSPHRASE), secret_file(tmp_path / "n", b"new root words")
    asked, signed = tmp_path / "asked", tmp_path / "signed"
    stop = ngo("keys", "rotate", "approver", "--root-request", asked, ok=False)
    assert (stop.code, "root sign" in stop.out) == (5, True)
    old = tmp_path / "ngo" / "root.key"
    ngo("root", "sign", asked, "--root-key", old, "--root-passphrase-file", root, "--out", signed, "--yes")
    ngo("keys", "rotate", "approver", "--root-signed", signed)
    fresh = tmp_path / "new.key"
    ngo("root", "new", "--agency", "ngo", "--out", fresh, "--root-passphrase-file", new)
    said = ngo(
        "keys", "rotate", "root", "--new-root", fresh, "--root-passphrase-file", root,
        "--new-root-passphrase-file", new,
    )  # fmt: skip
    assert "destroy every copy of the old root" in said.out
    ngo("keys", "rotate", "approver", "--root-key", fresh, "--root-passphrase-file", new)
    assert ngo("directory", "watch").code == 0
