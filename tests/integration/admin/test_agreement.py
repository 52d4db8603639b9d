"""`exchange-hub agreement`: shown, compared, signed by as many operators as must, and never halfway."""

from pathlib import Path

from exchange_schemas.entry import Act
from tests.integration.admin.conftest import Shell, both

ROW = """[[agreement]]
snd = ["ngo"]
rcp = ["embassy"]
pur = ["trace"]
fields = ["sex", "child_ref"]
why = "few"
"""


def written(shell: Shell, text: str = ROW) -> str:
    path = Path(shell.path("agreements.toml"))
    path.write_text(text)
    return str(path)


@both
def test_a_version_is_signed_shown_and_logged(made: Shell) -> None:
    assert made.json("agreement", "set", written(made), *made.signed_by("asha"))["version"] == 2
    (row,) = made.json("agreement", "show")
    assert (row["version"], row["from"], row["fields"]) == (2, ["ngo"], ["child_ref", "sex"])
    last = made.entries()[-1]
    assert (last.act, last.out, last.opr, last.pol) == (Act.AGREEMENTS_SET, "allow", "asha", "agreements@2")
    assert "version 2" in made.run("agreement", "show").stdout


def test_the_same_agreements_again_are_refused(made: Shell) -> None:
    said = made.run("agreement", "set", "--default", *made.signed_by("asha"), code=1)
    assert "version 1 already" in said.stderr


def test_compare_says_what_more_and_what_less_would_go(made: Shell) -> None:
    found = made.json("agreement", "compare", written(made))
    (fields,) = [
        one for one in found if (one["from"], one["to"], one["what"]) == ("ngo", "embassy", "fields")
    ]
    assert fields["more"] == []
    assert "photo" in fields["less"]
    assert all(one["more"] == [] for one in found)
    made.run("agreement", "set", written(made), *made.signed_by("asha"))
    assert made.json("agreement", "compare", written(made)) == []


def test_a_file_that_is_wrong_changes_nothing(made: Shell) -> None:
    bad = written(made, ROW.replace("sex", "shoe_size"))
    for words in (["compare", bad], ["set", bad, *made.signed_by("asha")]):
        said = made.run("agreement", *words, code=1)
        assert "agreement 1.fields" in said.stderr
        assert "(MALFORMED)" in said.stderr
    assert made.json("agreement", "show")[0]["version"] == 1


def test_either_a_file_or_the_shipped_ones(made: Shell) -> None:
    for words in ([], [written(made), "--default"]):
        assert "--default" in made.run("agreement", "set", *words, *made.signed_by("asha"), code=2).stderr


def test_the_shipped_file_can_be_signed_as_it_is_printed(made: Shell) -> None:
    made.run("agreement", "set", written(made), *made.signed_by("asha"))
    text = made.run("agreement", "default", data_dir=False).stdout
    done = made.json("agreement", "set", written(made, text), *made.signed_by("asha"))
    assert done["version"] == 3


def test_a_stranger_signs_nothing(made: Shell) -> None:
    made.keygen("eve")
    said = made.run("agreement", "set", written(made), *made.signed_by("eve"), code=1)
    assert "not one of this deployment's operators" in said.stderr
    assert len(made.entries()) == 2


@both
def test_where_two_must_sign_the_second_reads_what_it_lets_go(pair: Shell) -> None:
    pair.run("agreement", "set", written(pair), *pair.signed_by("asha"))
    proposal = pair.path("agreements-2.proposal.json")
    assert pair.json("agreement", "show")[0]["version"] == 1
    assert "(SENDER_MISMATCH)" in pair.run("operator", "submit", proposal, code=1).stderr
    seen = pair.run("operator", "sign", proposal, "--yes", *pair.signed_by("ben"), data_dir=False).stderr
    assert "ngo -> embassy (trace): child_ref sex" in seen
    assert pair.json("operator", "submit", proposal)["signed_by"] == ["asha", "ben"]
    assert pair.json("agreement", "show")[0]["version"] == 2
    assert "the next one is 3" in pair.run("operator", "submit", proposal, code=1).stderr
    assert pair.entries()[-1].out == "deny"
