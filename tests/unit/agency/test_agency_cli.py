"""The command line without a hub: records, imports, errors, exit codes, help."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from exchange.agency.cli.main import cli
from exchange.member.home import Home
from tests.unit.agency.agency_samples import PASSPHRASE
from tests.unit.agency.cli_runner import CommandLine, secret_file


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command's path."""
    found: list[tuple[str, ...]] = [path]
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found += commands(command, (*path, name))
        else:
            found.append((*path, name))
    return found


@pytest.mark.parametrize("path", commands(cli), ids=" ".join)
def test_every_command_explains_itself(agency: CommandLine, path: tuple[str, ...]) -> None:
    said = agency.of()(*path, "--help").out
    assert "--home" in said
    assert "--json" in said


def test_records_are_added_edited_found_and_shown(agency: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    file.write_text(json.dumps({"name_given": {"text": "Amína"}, "sex": "female"}))
    ref = agency("record", "add", "--file", file, "--set", "birth_date=2019", "--json").json["ref"]
    agency("record", "edit", ref, "--set", "birth_date=2019-05", "--unset", "sex")
    shown = agency("record", "show", ref, "--json").json
    assert shown["record"]["fields"] == {"name_given": {"text": "Amína"}, "birth_date": "2019-05"}
    assert [step["what"] for step in shown["history"]] == ["added", "edited"]
    assert agency("record", "find", "amina", "--json").json[0]["ref"] == ref
    assert agency("record", "find", "nobody", "--json").json == []
    assert len(agency("record", "list", "--json").lines) == 1
    assert "Given name" in agency("record", "show", ref).out


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("record", "show", "zzzz"), 1, "there is no such record"),
        (("record", "add", "--set", "colour=red"), 1, "no such record field"),
        (("record", "add", "--set", "sex=purple"), 1, "sex: not a code of its list"),
        (("record", "add", "--set", "sex"), 64, "NAME=VALUE"),
        (("record", "add", "--set", "child_ref=AAAAAAAAAAAAAAAAAAAAAA"), 2, "made for every recipient"),
        (("record", "add", "--file", "/nonexistent.json"), 1, "record file"),
        (("record", "import", "/nonexistent.xml"), 1, "cannot be read"),
        (("send", "--to", "x"), 64, "--kind"),
        (("send", "abcd", "--kind", "found_notice", "--to", "NO"), 1, "agency id"),
        (("consent", "show", "zzzz"), 2, "no such consent"),
        (
            (
                "record",
                "decision",
                "abcd",
                "--procedure",
                "bia",
                "--outcome",
                "against",
                "--body",
                "b",
                "--date",
                "soon",
            ),
            64,
            "YYYY-MM-DD",
        ),
        (("consent", "withdraw"), 64, "name consents"),
        (("spool", "--bad"), 64, "--bad"),
        (("nonsense",), 64, "nonsense"),
        (("directory", "show"), 1, "no copy of the key directory"),
        (("inbox",), 3, "cannot be reached"),
    ],
)
@pytest.mark.allow_hosts(["127.0.0.1"])
def test_bad_input_is_two_plain_lines_and_a_documented_exit_code(
    agency: CommandLine, args: tuple[str, ...], code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.net.wire.PAUSES_SECONDS", ())
    ran = agency(*args, ok=False)
    assert ran.code == code, ran.err
    first, *rest = ran.err.splitlines()
    assert first.startswith("error: ")
    assert words in first
    assert all(line.startswith("hint: ") for line in rest)


def test_a_wrong_passphrase_and_a_corrupt_key_file_are_told_apart(
    agency: CommandLine, home: Home, tmp_path: Path
) -> None:
    wrong = secret_file(tmp_path / "wrong", b"not the right words")
    ran = agency("record", "list", "--passphrase-file", wrong, ok=False)
    assert (ran.code, "WRONG_PASSPHRASE" in ran.err) == (1, True)
    file = home.user_file("amal")
    file.write_bytes(file.read_bytes()[:-40])
    ran = agency("record", "list", ok=False)
    assert (ran.code, "KEYFILE_CORRUPT" in ran.err) == (1, True)


def test_a_passphrase_file_that_others_can_read_is_refused(agency: CommandLine, tmp_path: Path) -> None:
    loose = secret_file(tmp_path / "loose", PASSPHRASE)
    loose.chmod(0o644)
    assert "others can read" in agency("record", "list", "--passphrase-file", loose, ok=False).err


def test_no_folder_and_no_agency_are_said_plainly(agency: CommandLine, tmp_path: Path) -> None:
    assert "--home" in agency.of()("record", "list", ok=False).err
    assert "no agency lives" in agency.of("--home", tmp_path)("record", "list", ok=False).err


def test_an_import_tells_each_record_and_never_a_value(agency: CommandLine, shared_data: Path) -> None:
    ran = agency("record", "import", shared_data / "pfif" / "children.pfif-1.4.xml", ok=False)
    assert ran.code == 2
    assert "imported as" in ran.out
    assert "refused" in ran.out
    assert "left out" in ran.out
    names = [
        record["fields"]["name_given"]["text"]
        for record in agency("record", "list", "--json").lines
        if "name_given" in record["fields"]
    ]
    assert names
    assert not any(name in ran.out for name in names)
    again = agency("record", "import", shared_data / "pfif" / "children.pfif-1.4.xml", "--json", ok=False)
    assert {line["outcome"] for line in again.lines} == {"unchanged", "refused"}


def test_an_import_of_adults_refuses_each_with_its_rule(agency: CommandLine, shared_data: Path) -> None:
    ran = agency("record", "import", shared_data / "pfif" / "test.pfif-1.4.xml", "--json", ok=False)
    assert ran.code == 2
    assert {line["outcome"] for line in ran.lines} == {"refused"}
    assert all(line["rule"] and line["reason"] for line in ran.lines)


def test_a_file_of_another_kind_is_unreadable(agency: CommandLine, tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("just some notes")
    ran = agency("record", "import", other, ok=False)
    assert ran.code == 1
    assert "neither PFIF XML nor a Primero case list" in ran.err


def test_a_primero_list_is_imported_with_its_flags(agency: CommandLine, shared_data: Path) -> None:
    ran = agency("record", "import", shared_data / "primero" / "cases.json", "--json", ok=False)
    kept = [line for line in ran.lines if line["outcome"] == "imported"]
    assert kept
    assert any(line["release"]["withheld"] for line in kept)
    assert any(line["release"]["purposes"] for line in kept)


def test_a_full_disk_is_said_plainly(agency: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("exchange.agency.records.Records.add", full)
    ran = agency("record", "add", "--set", "sex=female", ok=False)
    assert ran.code == 1
    assert "disk" in ran.err
    assert "full" in ran.err


def test_foreign_text_cannot_steer_the_terminal(agency: CommandLine) -> None:
    from exchange.member.cli.output import harmless, isolated

    assert harmless("a\x1b[31mb\u202ec") == "a [31mb c"
    assert isolated("أمينة") == "\u2068أمينة\u2069"
    assert isolated("plain") == "plain"


def test_the_passphrase_is_taken_from_a_file_descriptor(agency: CommandLine, tmp_path: Path) -> None:
    with (tmp_path / "pass").open("rb") as file:
        agency.of(*agency.common[:2], "--passphrase-fd", str(file.fileno()))("record", "list")


def test_what_is_typed_counts_before_the_environment(
    agency: CommandLine, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEWARD_HOME", str(tmp_path / "another"))
    monkeypatch.setenv("HOMEWARD_USER", "nobody")
    named = agency.of("--home", home.path, "--user", "amal", *agency.common[2:])
    assert named("record", "list", "--json").code == 0
    late = agency.of(*agency.common[2:])
    assert late("record", "list", "--home", home.path, "--user", "amal").code == 0
    monkeypatch.setenv("HOMEWARD_HOME", str(home.path))
    monkeypatch.setenv("HOMEWARD_USER", "amal")
    assert late("record", "list").code == 0


def test_a_store_that_is_gone_is_never_begun_anew(agency: CommandLine, home: Home) -> None:
    agency("record", "add", "--set", "sex=female")
    home.store_file.unlink()
    for ran in (agency("record", "list", ok=False), agency("inbox", ok=False)):
        assert ran.code == 1
        assert "STORE_CORRUPT" in ran.err
    assert not home.store_file.exists()
    home.store_file.touch()
    assert agency("record", "list", ok=False).code == 1


def test_a_group_without_a_command_shows_what_there_is(agency: CommandLine) -> None:
    ran = agency.of()("consent", ok=False)
    assert ran.code == 64
    assert ran.err.startswith("Usage:")
    assert "withdraw" in ran.err


def test_a_list_shows_names_of_any_script_whole(agency: CommandLine) -> None:
    agency(
        "record", "add", "--set", 'name_given={"text": "أمينة"}', "--set", 'name_family={"text": "Isaeva"}',
        "--set", 'age_range={"min": 4, "max": 6, "as_of": "2026-03-01"}',
    )  # fmt: skip
    said = agency("record", "list").out
    assert "\u2068أمينة Isaeva\u2069" in said
    assert "4 to 6 years on 2026-03-01" in said


@pytest.mark.parametrize("gid", ["-h" + "A" * 20, "-Ah" + "B" * 18 + "A", "--help" + "A" * 16])
def test_an_id_that_begins_like_an_option_is_an_id(agency: CommandLine, gid: str, tmp_path: Path) -> None:
    for args in (("--kept",), ("--save-photo", tmp_path / "p.jpg", "--kept"), ("--kept", "--")):
        ran = agency("open", *args, gid, ok=False)
        assert (ran.code, "RECORD_UNKNOWN" in ran.err) == (1, True), ran
    assert agency("open", "--kept", gid, "--help").out.startswith("Usage:")


def test_a_user_who_forgot_their_passphrase_is_added_again(
    agency: CommandLine, home: Home, tmp_path: Path
) -> None:
    new = (
        "--new-passphrase-file",
        secret_file(tmp_path / "new", b"another long passphrase"),
        "--insecure-kdf",
    )
    agency("user", "add", "noor", *new)
    new = (*new, "--user", "amal")
    ran = agency("user", "add", "noor", *new, ok=False)
    assert "error: this agency has a user of this name already" in ran.err
    assert "destroy NAME.key in the folder users" in ran.err
    home.user_file("noor").unlink()
    agency("user", "add", "noor", *new)


def id_commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command that takes an id which was made at random."""
    ids = {"ref", "gid", "cid", "cids", "thread"}
    return [
        one
        for one in commands(group, path)
        if ids & {part.name for part in found(one).params if isinstance(part, click.Argument)}
    ]


def found(path: tuple[str, ...]) -> click.Command:
    """The command at this path."""
    here: click.Command = cli
    for name in path:
        assert isinstance(here, click.Group)
        here = here.commands[name]
    return here


@pytest.mark.parametrize("path", id_commands(cli), ids=" ".join)
@pytest.mark.parametrize("text", ["-h" + "A" * 20, "-j9Ab"])
def test_every_command_that_takes_an_id_takes_one_that_begins_with_a_hyphen(
    path: tuple[str, ...], text: str
) -> None:
    command = found(path)
    one = next(part for part in command.params if isinstance(part, click.Argument))
    context = click.Context(command, info_name=path[-1], resilient_parsing=True)
    command.parse_args(context, [text])
    assert context.params[str(one.name)] in (text, (text,))


def test_a_record_whose_reference_begins_with_a_hyphen_is_shown(agency: CommandLine, home: Home) -> None:
    ran = agency("record", "show", "-j9Ab", ok=False)
    assert (ran.code, "RECORD_UNKNOWN" in ran.err) == (1, True), ran


def test_who_must_never_learn_of_a_record_is_listed_without_a_hub(agency: CommandLine) -> None:
    ref = agency("record", "add", "--set", "sex=female", "--json").json["ref"]
    assert "nobody" in agency("record", "withhold", ref).out
    said = agency("record", "withhold", ref, "--from", "embassy-a", "--from", "country:FR").out
    assert "withheld from: country:FR, embassy-a" in said
    assert agency("record", "withhold", ref, "--from", "kind:circus", ok=False).code == 1
    lifted = agency("record", "withhold", ref, "--from", "embassy-a", "--lift", "--json").json
    assert lifted == {"withheld_from": ["country:FR"], "consents": []}
    assert agency("consent", "attest", "court-a", ok=False).code == 64
