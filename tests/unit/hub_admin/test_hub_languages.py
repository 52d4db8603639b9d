"""The operator's command line in each language; what programs read is the same in all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import click
import pytest
from click.testing import CliRunner, Result

from docs import words
from exchange.directory.enrolment import check_bundle
from exchange.hub.admin.agreement import shipped_agreements
from exchange.hub.admin.cli import main
from exchange.hub.admin.commands import AdminGroup
from exchange.hub.admin.hub_act import AccreditAct, EraseAct, HubAct, HubKeyAct
from exchange.hub.admin.output import Output, visible
from exchange.hub.admin.proposal import facts_of
from exchange.hub.services.agencies import admission
from exchange.words import LANGUAGES, in_language
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import NotPermitted
from exchange_schemas.event import (
    AgreementsEvent,
    Event,
    ExpelEvent,
    GovernanceEvent,
    Operator,
    ResumeEvent,
    SuspendEvent,
)
from exchange_schemas.ids import AgencyId
from tests.integration.directory.people import ORIGIN, Agency, second

OTHERS = [code for code in LANGUAGES if code != "en"]
NGO = AgencyId("ngo-a")


def run(*words: str, lang: str | None = None) -> Result:
    return CliRunner().invoke(main, words, env={"HOMEWARD_LANG": lang, "LC_ALL": "C"}, terminal_width=100)


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every group and command."""
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("code", OTHERS)
@pytest.mark.parametrize("path", list(commands(main)), ids="-".join)
def test_a_help_page_leaves_no_english_sentence(path: tuple[str, ...], code: str) -> None:
    english = run(*path, "--help").stdout
    said = run(*path, "--help", "--lang", code).stdout
    prose = [
        line.strip()
        for line in english.splitlines()
        if len(line.split()) > 4 and not any(one in line for one in ("exchange-hub ", "--", "HOMEWARD_"))
    ]
    assert prose
    assert [line for line in prose if line in said] == []
    # The examples are typed, so they stay.
    typed = [line for line in english.splitlines() if line.startswith("  exchange-hub ")]
    assert [line for line in typed if line not in said] == []


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("fr", "erreur: Cet acte n'est pas permis à cette personne ou ici. not so (NOT_PERMITTED)"),
        ("ar", "خطأ: "),
        ("ru", "ошибка: "),
    ],
)
def test_an_error_says_its_meaning_then_its_own_words_and_code(code: str, meaning: str) -> None:
    @click.group(cls=AdminGroup)
    def group() -> None:
        """A group."""

    @group.command()
    def fail() -> None:
        raise NotPermitted("not so", hint="restore them from a backup")

    said = CliRunner().invoke(group, ["fail"], env={"HOMEWARD_LANG": code})
    english = CliRunner().invoke(group, ["fail"], env={"HOMEWARD_LANG": "en"})
    assert (said.exit_code, english.exit_code) == (1, 1)
    first, second_line = said.stderr.splitlines()
    assert first.startswith(meaning.split(":")[0] + ": ")
    assert "not so" in first
    assert first.rstrip("\u2069").endswith("(NOT_PERMITTED)")
    assert "restore them" not in second_line
    assert english.stderr == "error: not so (NOT_PERMITTED)\nhint: restore them from a backup\n"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("en", "error: No such command 'frob'."),
        ("fr", "'frob'"),
        ("ar", "'frob'"),
        ("ru", "ошибка: "),
    ],
)
def test_a_wrong_command_line_is_told_in_the_readers_language(code: str, said: str) -> None:
    result = run("agency", "frob", lang=code)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "exchange-hub agency --help" in result.stderr
    assert ("No such command" in result.stderr) is (code == "en")


def test_the_option_wins_over_the_setting_and_the_setting_over_the_system() -> None:
    assert "Использование" in run("--help", lang="ru").stdout
    assert "Usage :" in run("--help", "--lang", "fr", lang="ru").stdout
    system = CliRunner().invoke(main, ["--help"], env={"HOMEWARD_LANG": None, "LC_ALL": "fr_FR.UTF-8"})
    assert "Usage :" in system.stdout
    assert run("--lang", "xx", "agency", "list", lang="ru").exit_code == 2


def test_what_an_agency_chose_is_never_translated_and_stays_harmless(
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = {"agency": "ngo-a", "name": "active", "kind": "embassy", "status": "suspended"}
    with in_language(LANGUAGES["fr"]):
        Output(as_json=False).rows("agencies: {count}", [row], columns=tuple(row), count=1)
        Output(as_json=False).note("{agency} is admitted", agency="\u202eevil\x1b[2J")
    said = capsys.readouterr()
    assert [cell.strip() for cell in said.out.splitlines()[-2].split("  ") if cell.strip()] == [
        "ngo-a",
        "active",
        "ambassade",
        "suspendu",
    ]
    assert said.err == "\\u202eevil\\u001b[2J est admis\n"


def test_a_value_keeps_its_direction_within_a_sentence_from_right_to_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with in_language(LANGUAGES["ar"]):
        Output(as_json=False).note("{agency} is admitted", agency="ngo-a")
        Output(as_json=False).facts({"base_url": "https://hub.example", "made": True})
    said = capsys.readouterr()
    assert said.err == "قُبلت \u2068ngo-a\u2069\n"
    assert "base url" not in said.out
    assert "https://hub.example" in said.out


def test_an_isolate_that_is_not_closed_is_escaped() -> None:
    assert visible("a\u2068b\u2069") == "\u2068a\u2068b\u2069\u2069"
    assert visible("a\u2069b") == "a\\u2069b"


@pytest.mark.parametrize("code", LANGUAGES)
def test_json_is_the_same_in_every_language(code: str) -> None:
    english, said = run("agreement", "default", "--json"), run("agreement", "default", "--json", lang=code)
    assert json.loads(said.stdout) == json.loads(english.stdout)


def events() -> Iterator[Event]:
    """One of each event that operators sign."""
    now, key = second(), SigningKey.generate()
    who = Operator(name="asha", kid=key.public.kid, key=key.public.raw)
    yield GovernanceEvent(origin=ORIGIN, iat=now, k=1, operators=(who,))
    yield AgreementsEvent(origin=ORIGIN, iat=now, version=1, agreements=shipped_agreements())
    yield admission(check_bundle(Agency.named(NGO).bundle(), origin=ORIGIN, now=now), origin=ORIGIN, now=now)
    yield SuspendEvent(origin=ORIGIN, iat=now, agency=NGO, reason="security")
    yield ResumeEvent(origin=ORIGIN, iat=now + timedelta(1), agency=NGO)
    yield ExpelEvent(origin=ORIGIN, iat=now, agency=NGO, reason="security")


def acts() -> Iterator[HubAct]:
    """Each act of the hub that operators sign."""
    now, key = second(), SigningKey.generate()
    for move in ("begin", "finish", "rotate"):
        yield HubAct.begin(HubKeyAct(ORIGIN, "audit-log", move, key.public.kid, now), key)
    for about in (None, (NGO,)):
        yield HubAct.begin(AccreditAct(ORIGIN, AgencyId("press"), about, now), key)
    for scope in ("cns", "rec"):
        yield HubAct.begin(EraseAct(ORIGIN, scope, "QuiToaYTHPEid8_3n8l5lA", now), key)


@pytest.mark.parametrize("code", OTHERS)
def test_what_an_operator_signs_is_said_in_the_readers_language(code: str) -> None:
    catalogue = words.read(code)
    told = [*map(facts_of, events()), *(act.facts() for act in acts())]
    assert len(told) == 13
    for facts in told:
        for name in facts:
            assert catalogue.get(name.replace("_", " "), context="fact"), name
        for name in ("event", "kind", "reason", "may_read", "forget"):
            value = facts.get(name)
            if isinstance(value, str):
                assert catalogue.get(value.replace("_", " "), context="code"), value
