"""Operators come and go by signature; where several must sign, a proposal goes round."""

import json
from pathlib import Path

from exchange_schemas.entry import Act
from tests.integration.admin.conftest import Shell, added, both
from tests.integration.directory.people import Agency


@both
def test_an_operator_is_added_listed_and_removed(made: Shell) -> None:
    added(made, "ben")
    assert [one["name"] for one in made.json("operator", "list")] == ["asha", "ben"]
    assert "1 of 2 must sign" in made.run("operator", "list").stdout
    made.run("operator", "remove", "asha", *made.signed_by("ben"))
    assert [one["name"] for one in made.json("operator", "list")] == ["ben"]
    said = made.run("operator", "remove", "ben", *made.signed_by("asha"), code=1)
    assert "signatures can never be had" in said.stderr
    assert [(entry.act, entry.opr) for entry in made.entries()[2:]] == [
        (Act.OPERATOR_ADD, "asha"),
        (Act.OPERATOR_REMOVE, "ben"),
    ]


def test_who_is_added_is_compared_by_voice(made: Shell) -> None:
    made.keygen("ben")
    words = ["operator", "add", "ben", made.path("ben.key.pub"), *made.signed_by("asha")]
    assert "fingerprint" in made.run(*words, "--fingerprint", "AAAA", code=1).stderr
    made.run(*words, typed="n\n", code=1)
    made.run(*words, typed="y\n")


def test_a_public_file_must_fit_its_name_and_key(made: Shell) -> None:
    made.keygen("ben")
    path = Path(made.path("ben.key.pub"))
    whole = json.loads(path.read_text())
    by = made.signed_by("asha")
    assert "another name" in made.run("operator", "add", "eve", str(path), *by, code=1).stderr
    for change in (
        {"kid": "A" * 43},
        {"key": "A" * 43},
        {"typ": "x"},
        {"v": 2},
        {"name": "hub"},
        {"more": 1},
    ):
        path.write_text(json.dumps(whole | change))
        made.run("operator", "add", "ben", str(path), *by, code=1)
    path.write_text("no json")
    made.run("operator", "add", "ben", str(path), *by, code=1)
    assert len(made.entries()) == 2


def test_one_name_and_one_key_govern_once(made: Shell) -> None:
    added(made, "ben")
    assert "already" in added(made, "ben", code=1)
    assert "no operator" in made.run("operator", "remove", "eve", *made.signed_by("asha"), code=1).stderr
    assert "never be had" in added(made, "carla", "--quorum", "4", code=1)


@both
def test_two_operators_admit_an_agency_with_a_proposal(pair: Shell) -> None:
    agency = Agency.named("ngo-a")
    heard = ["--fingerprint", agency.fingerprint]
    said = pair.run("agency", "admit", pair.bundle(agency), *heard, *pair.signed_by("asha"))
    assert "1 of 2" in said.stdout
    assert "operator sign" in said.stderr
    proposal = pair.path("admit-ngo-a.proposal.json")
    assert pair.json("agency", "list") == []
    assert "(SENDER_MISMATCH)" in pair.run("operator", "submit", proposal, code=1).stderr

    def sign(name: str, *more: str, code: int = 0) -> str:
        words = ["operator", "sign", proposal, *pair.signed_by(name), *more]
        return pair.run(*words, code=code, data_dir=False).stderr

    assert "signed the proposal already" in sign("asha", *heard, code=1)
    assert "fingerprint" in sign("ben", "--fingerprint", "AAAA", code=1)
    assert "contact: desk@ngo-a.example" in sign("ben", *heard)
    done = pair.json("operator", "submit", proposal)
    assert (done["agency"], done["signed_by"]) == ("ngo-a", ["asha", "ben"])
    assert pair.entries()[-1].opr == "asha/ben"
    assert len(pair.json("agency", "show", "ngo-a")["keys"]) == 6
    assert "admitted before" in pair.run("operator", "submit", proposal, code=1).stderr


def test_other_weighty_acts_go_round_too(pair: Shell) -> None:
    agency = Agency.named("ngo-a")
    words = ["--fingerprint", agency.fingerprint, "--proposal", "p.json"]
    pair.run("agency", "admit", pair.bundle(agency), *words, *pair.signed_by("asha"))
    sign = ["operator", "sign", "p.json", *pair.signed_by("ben")]
    pair.run(*sign, "--fingerprint", agency.fingerprint, data_dir=False)
    pair.run("operator", "submit", "p.json")
    pair.run("agency", "suspend", "ngo-a", "--reason", "security", *pair.signed_by("ben"))
    sign = ["operator", "sign", "suspend-ngo-a.proposal.json", *pair.signed_by("asha")]
    assert "reason: security" in pair.run(*sign, data_dir=False, typed="n\n", code=1).stderr
    pair.run(*sign, data_dir=False, typed="y\n")
    pair.run("operator", "submit", "suspend-ngo-a.proposal.json")
    assert pair.json("agency", "show", "ngo-a")["status"] == "suspended"
    added(pair, "carla")
    sign = ["operator", "sign", "governance-governance.proposal.json", *pair.signed_by("ben"), "--yes"]
    assert "carla" in pair.run(*sign, data_dir=False).stderr
    pair.run("operator", "submit", "governance-governance.proposal.json")
    assert len(pair.json("operator", "list")) == 3


def test_a_proposal_is_never_written_over(pair: Shell) -> None:
    agency = Agency.named("ngo-a")
    words = ["agency", "admit", pair.bundle(agency), "--fingerprint", agency.fingerprint]
    pair.run(*words, *pair.signed_by("asha"))
    before = Path("admit-ngo-a.proposal.json").read_bytes()
    assert "exists already" in pair.run(*words, *pair.signed_by("asha"), code=1).stderr
    assert Path("admit-ngo-a.proposal.json").read_bytes() == before


def test_a_stranger_cannot_help_a_proposal_along(pair: Shell) -> None:
    agency = Agency.named("ngo-a")
    heard = ["--fingerprint", agency.fingerprint]
    pair.run("agency", "admit", pair.bundle(agency), *heard, *pair.signed_by("asha"))
    pair.keygen("eve")
    proposal = "admit-ngo-a.proposal.json"
    pair.run("operator", "sign", proposal, *heard, *pair.signed_by("eve"), data_dir=False)
    assert "(KID_UNKNOWN)" in pair.run("operator", "submit", proposal, code=1).stderr
    pair.run("operator", "sign", proposal, *heard, *pair.signed_by("ben"), data_dir=False)
    assert "(KID_UNKNOWN)" in pair.run("operator", "submit", proposal, code=1).stderr
    assert len(pair.entries()) == 3


def test_a_changed_proposal_is_refused(pair: Shell) -> None:
    agency, other = Agency.named("ngo-a"), Agency.named("ngo-a")
    words = ["--fingerprint", agency.fingerprint, *pair.signed_by("asha")]
    pair.run("agency", "admit", pair.bundle(agency), *words)
    path = Path("admit-ngo-a.proposal.json")
    whole = json.loads(path.read_text())
    sign = ["operator", "sign", str(path), *pair.signed_by("ben"), "--fingerprint", other.fingerprint]
    for change in (
        {"bundle": other.bundle().to_json()},
        {"bundle": None},
        {"typ": "hx-event"},
        {"v": 2},
        {"more": 1},
        {"event": {}},
    ):
        path.write_text(json.dumps(whole | change))
        pair.run(*sign, data_dir=False, code=1)
        pair.run("operator", "submit", str(path), code=1)
    assert pair.json("agency", "list") == []


def test_keygen_asks_for_a_strong_passphrase_and_keeps_what_is_there(shell: Shell) -> None:
    weak = ["--passphrase-file", shell.secret("weak.pass", "short")]
    words = ["operator", "keygen", "asha", "--out", shell.path("asha.key")]
    assert "12 characters" in shell.run(*words, *weak, data_dir=False, code=2).stderr
    shell.keygen("asha")
    assert "exists already" in shell.run(*words, *shell.passphrase(), data_dir=False, code=1).stderr
    bad = ["operator", "keygen", "Asha B", "--out", shell.path("b.key"), *shell.passphrase()]
    assert "letters, digits" in shell.run(*bad, data_dir=False, code=1).stderr


def test_nothing_is_signed_before_there_is_a_hub(shell: Shell) -> None:
    shell.keygen("asha")
    said = shell.run("operator", "list", code=2)
    assert "HOMEWARD_ORIGIN" in said.stderr
    assert "hint: " in said.stderr


def test_any_two_of_three_operators_are_enough_and_one_who_left_is_none(pair: Shell) -> None:
    def go_round(proposal: str, name: str) -> str:
        pair.run("operator", "sign", proposal, *pair.signed_by(name), "--yes", data_dir=False)
        return pair.run("operator", "submit", proposal).stdout

    added(pair, "carla", "--proposal", "carla.json")
    go_round("carla.json", "ben")
    assert "2 of 3 must sign" in pair.run("operator", "list").stdout
    agency = Agency.named("ngo-a")
    words = ["--fingerprint", agency.fingerprint, "--proposal", "p.json"]
    pair.run("agency", "admit", pair.bundle(agency), *words, *pair.signed_by("carla"))
    sign = ["operator", "sign", "p.json", *pair.signed_by("ben"), "--fingerprint", agency.fingerprint]
    pair.run(*sign, data_dir=False)
    assert "is admitted" in pair.run("operator", "submit", "p.json").stdout
    suspend = ["agency", "suspend", "ngo-a", "--reason", "security", "--proposal", "s.json"]
    pair.run(*suspend, *pair.signed_by("carla"))
    pair.run("operator", "remove", "carla", "--proposal", "r.json", *pair.signed_by("asha"))
    go_round("r.json", "ben")
    pair.run("operator", "sign", "s.json", *pair.signed_by("ben"), "--yes", data_dir=False)
    said = pair.run("operator", "submit", "s.json", code=1)
    assert "not a key of an operator" in said.stderr
    assert pair.json("agency", "show", "ngo-a")["status"] == "active"
