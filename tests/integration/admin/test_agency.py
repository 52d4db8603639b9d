"""Agencies are admitted by fingerprint, and suspended, resumed and expelled by signature."""

import json
from pathlib import Path

import pytest

from docs import words
from exchange_schemas.entry import Act
from tests.integration.admin.conftest import Shell, both
from tests.integration.directory.people import Agency


@pytest.fixture
def agency() -> Agency:
    return Agency.named("ngo-a")


def test_the_bundle_is_shown_and_admitted_when_the_fingerprint_fits(made: Shell, agency: Agency) -> None:
    fingerprint = agency.fingerprint.lower().replace("-", " ")
    said = made.run(
        "agency", "admit", made.bundle(agency), "--fingerprint", fingerprint, *made.signed_by("asha")
    )
    for shown in ("The ngo-a", "ngo", "XK", "desk@ngo-a.example", agency.fingerprint, "1 approver"):
        assert shown in said.stderr
    assert said.stdout == "ngo-a is admitted\n"
    entry = made.entries()[-1]
    assert (entry.act, entry.opr, entry.own) == (Act.AGENCY_ADMIT, "asha", ("ngo-a",))


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("", 1)])
def test_without_a_fingerprint_a_person_is_asked(made: Shell, agency: Agency, answer: str, code: int) -> None:
    said = made.run("agency", "admit", made.bundle(agency), *made.signed_by("asha"), typed=answer, code=code)
    assert "by voice" in said.stderr
    assert len(made.json("agency", "list")) == 1 - code


def test_a_wrong_fingerprint_admits_nobody(made: Shell, agency: Agency) -> None:
    other = Agency.named("ngo-a").fingerprint
    for wrong in (other, agency.fingerprint[:-5], agency.fingerprint + "A", ""):
        said = made.run(
            "agency", "admit", made.bundle(agency), "--fingerprint", wrong, *made.signed_by("asha"), code=1
        )
        assert "fingerprint" in said.stderr
    assert made.json("agency", "list") == []
    assert len(made.entries()) == 2


def test_a_tampered_bundle_is_refused(made: Shell, agency: Agency) -> None:
    path = Path(made.bundle(agency))
    whole = json.loads(path.read_bytes())
    other = json.loads(Agency.named("ngo-a").bundle().to_bytes())
    cases = {
        "SIG_INVALID": {**whole, "payload": agency.bundle(name="Another").to_json()["payload"]},
        "KID_UNKNOWN": {**whole, "signatures": other["signatures"]},
        "SENDER_MISMATCH": {**whole, "signatures": whole["signatures"][:1]},
        "MALFORMED": {**whole, "more": 1},
    }
    for code, case in cases.items():
        path.write_text(json.dumps(case, separators=(",", ":"), sort_keys=True))
        said = made.run(
            "agency", "admit", str(path), "--fingerprint", agency.fingerprint, *made.signed_by("asha"), code=1
        )
        assert f"({code})" in said.stderr
    path.write_bytes(b"\x00 no bundle")
    assert "(MALFORMED)" in made.run("agency", "admit", str(path), *made.signed_by("asha"), code=1).stderr


def test_a_bundle_for_another_deployment_is_refused(made: Shell, agency: Agency) -> None:
    bundle = made.bundle(agency, origin="other.example")
    said = made.run("agency", "admit", bundle, *made.signed_by("asha"), code=1)
    assert "(ORIGIN)" in said.stderr


@both
def test_an_agency_is_admitted_once(made: Shell) -> None:
    agency = made.admit("ngo-a")
    said = made.run(
        "agency",
        "admit",
        made.bundle(agency),
        "--fingerprint",
        agency.fingerprint,
        *made.signed_by("asha"),
        code=1,
    )
    assert "admitted before" in said.stderr
    assert made.entries()[-1].out == "deny"


def test_a_key_of_nobody_who_governs_is_refused_and_names_nobody(made: Shell, agency: Agency) -> None:
    made.keygen("eve")
    options = ["--fingerprint", agency.fingerprint, *made.signed_by("eve")]
    said = made.run("agency", "admit", made.bundle(agency), *options, code=1)
    assert "not one of this deployment's operators" in said.stderr
    assert len(made.entries()) == 2


def test_a_wrong_passphrase_signs_nothing(made: Shell) -> None:
    made.admit("ngo-a")
    wrong = ["--passphrase-file", made.secret("wrong.pass", "not this one at all")]
    key = ["--operator-key", made.path("asha.key")]
    said = made.run("agency", "suspend", "ngo-a", "--reason", "security", *key, *wrong, code=1)
    assert "(WRONG_PASSPHRASE)" in said.stderr
    assert made.json("agency", "show", "ngo-a")["status"] == "active"


def test_another_key_file_is_no_operators_key(made: Shell, agency: Agency) -> None:
    options = ["--operator-key", made.path("hub/keys/hub.key")]
    secret = ["--passphrase-file", made.path("hub.pass"), "--fingerprint", agency.fingerprint]
    said = made.run("agency", "admit", made.bundle(agency), *options, *secret, code=2)
    assert "not an operator's key file" in said.stderr


@both
def test_list_and_show_for_people_and_for_scripts(made: Shell) -> None:
    agency = made.admit("ngo-a")
    made.admit("embassy-b")
    assert [one["agency"] for one in made.json("agency", "list")] == ["embassy-b", "ngo-a"]
    table = made.run("agency", "list").stdout
    assert "embassy-b" in table
    assert "agencies: 2" in table
    shown = made.json("agency", "show", "ngo-a")
    assert (shown["fingerprint"], len(shown["keys"])) == (agency.fingerprint, 6)
    assert agency.enc.public.kid in made.run("agency", "show", "ngo-a").stdout
    for name in ("nobody", "No Body"):
        made.run("agency", "show", name, code=1)


@both
def test_suspend_resume_and_revoke(made: Shell) -> None:
    made.admit("ngo-a")
    by = made.signed_by("asha")

    def status() -> str:
        return str(made.json("agency", "show", "ngo-a")["status"])

    made.run("agency", "suspend", "ngo-a", "--reason", "security", *by)
    assert status() == "suspended"
    assert "suspended" in made.run("agency", "suspend", "ngo-a", "--reason", "other", *by, code=1).stderr
    made.run("agency", "resume", "ngo-a", *by)
    assert status() == "active"
    made.run("agency", "resume", "ngo-a", *by, code=1)
    made.run("agency", "revoke", "ngo-a", "--reason", "agreement_ended", *by, typed="n\n", code=1)
    assert status() == "active"
    made.run("agency", "revoke", "ngo-a", "--reason", "agreement_ended", *by, typed="y\n")
    assert status() == "expelled"
    assert "for good" in made.run("agency", "resume", "ngo-a", *by, code=1).stderr
    acts = [(entry.act, entry.out) for entry in made.entries()[3:]]
    assert acts == [
        (Act.AGENCY_SUSPEND, "allow"),
        (Act.AGENCY_SUSPEND, "deny"),
        (Act.AGENCY_RESUME, "allow"),
        (Act.AGENCY_RESUME, "deny"),
        (Act.AGENCY_EXPEL, "allow"),
        (Act.AGENCY_RESUME, "deny"),
    ]


def test_a_reason_must_be_one_of_the_list(made: Shell) -> None:
    said = made.run("agency", "suspend", "ngo-a", "--reason", "mood", *made.signed_by("asha"), code=2)
    assert "security" in said.stderr


def test_text_of_an_agency_cannot_steer_the_terminal(made: Shell) -> None:
    agency = Agency.named("ngo-a")
    bundle = made.bundle(agency, name="[red]مؤسسة[/red]")
    said = made.run("agency", "admit", bundle, "--fingerprint", agency.fingerprint, *made.signed_by("asha"))
    assert "name: \u2068[red]مؤسسة[/red]\u2069\n" in said.stderr
    assert "[red]" in made.run("agency", "list").stdout


def test_in_another_language_people_read_other_words_and_programs_the_same(made: Shell) -> None:
    made.admit("ngo-a")
    catalogue = words.read("fr")
    for command in (
        ("agency", "show", "ngo-a"),
        ("check",),
        ("deployment", "export", made.path("pins.json")),
    ):
        english = made.json(*command)
        assert made.json(*command, "--lang", "fr") == english
        if command[0] != "deployment":
            names = [name.replace("_", " ") for name in english]
            assert [name for name in names if not catalogue.get(name, context="fact")] == []
    again = made.init("asha", "--json", "--lang", "fr")
    names = [name.replace("_", " ") for name in json.loads(again.stdout)]
    assert [name for name in names if not catalogue.get(name, context="fact")] == []
    listed = made.run("agency", "list", "--lang", "ru").stdout
    assert ("организаций: 1" in listed, "вид" in listed, "The ngo-a" in listed) == (True, True, True)
    said = made.run(
        "agency", "suspend", "ngo-a", "--reason", "security", "--lang=ar", *made.signed_by("asha")
    )
    assert said.stdout.startswith("عُلّقت \u2068ngo-a\u2069: ")
