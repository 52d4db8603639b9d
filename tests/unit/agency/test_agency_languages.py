"""The agency's command line in each language; what programs read is the same in all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exchange.agency.cli.cards import print_message
from exchange.agency.model import Message
from exchange.agency.wording import field_words, state_words
from exchange.member.cli import exits
from exchange.member.cli.output import harmless, isolated
from exchange.words import LANGUAGES, in_language
from exchange.words.failures import summary
from exchange_schemas import errors
from tests.unit.agency.agency_samples import opened_message
from tests.unit.agency.cli_runner import CommandLine

FIELDS = {
    "name_given": {"text": "Other", "script": "Latn"},
    "sex": "female",
    "birth_date": "2019-05",
    "care_arrangement": "shelter",
    "found_with": "unknown",
    "last_seen": {"date": "2026-03", "text": "river", "source": "told_by_child", "confidence": "medium"},
}


@pytest.fixture
def ref(agency: CommandLine, tmp_path: Path) -> str:
    file = tmp_path / "record.json"
    file.write_text(json.dumps(FIELDS))
    return str(agency("record", "add", "--file", file, "--json").json["ref"])


@pytest.mark.parametrize(
    ("code", "usage", "first", "options", "required"),
    [
        ("en", "Usage:", "Add, edit, find", "Options", "[required]"),
        ("fr", "Usage :", "Ajouter, modifier, chercher", "Options", "[obligatoire]"),
        ("ar", "الاستعمال:", "إضافة السجلات", "الخيارات", "[إلزامي]"),
        ("ru", "Использование:", "Добавлять, изменять", "Параметры", "[обязательно]"),
    ],
)
def test_help_is_in_the_readers_language(
    agency: CommandLine, code: str, usage: str, first: str, options: str, required: str
) -> None:
    said = agency.of()("record", "--help", "--lang", code).out
    assert (usage in said, first in said, options in said) == (True, True, True)
    assert required in agency.of()("record", "decision", "--lang", code, "--help").out
    whole = agency.of()("--lang", code, "--help").out
    assert "exchange-agency init --deployment deployment.json" in whole
    assert "   64  " in whole


@pytest.mark.parametrize("code", [code for code in LANGUAGES if code != "en"])
def test_a_help_page_leaves_no_english_sentence(agency: CommandLine, code: str) -> None:
    english = agency.of()("send", "--help").out
    said = agency.of()("--lang", code, "send", "--help").out
    prose = [
        line.strip() for line in english.splitlines() if len(line.split()) > 5 and "exchange-" not in line
    ]
    assert prose
    assert [line for line in prose if line in said] == []


@pytest.mark.parametrize(
    ("code", "title", "column", "sex", "empty"),
    [
        ("fr", "dossiers", "naissance ou âge", "féminin", "consentements : rien"),
        ("ar", "السجلات", "الميلاد أو العمر", "أنثى", "\u2069: لا شيء"),
        ("ru", "карточки", "рождение или возраст", "женский", "согласия: пусто"),
    ],
)
def test_tables_are_in_the_readers_language(
    agency: CommandLine, ref: str, code: str, title: str, column: str, sex: str, empty: str
) -> None:
    shown = agency("--lang", code, "record", "list").out
    assert (title in shown, column in shown, sex in shown, ref in shown) == (True, True, True, True)
    assert empty in agency("--lang", code, "consent", "list").out


@pytest.mark.parametrize(
    ("code", "title", "label", "care"),
    [
        ("fr", "dossier", "Qui s'occupe de l'enfant maintenant", "hébergement"),
        ("ar", "السجل", "من يرعى الطفل الآن", "مأوى"),
        ("ru", "карточка", "Кто сейчас заботится о ребёнке", "приют"),
    ],
)
def test_a_card_says_labels_and_codes_in_words_and_leaves_what_people_wrote(
    agency: CommandLine, ref: str, code: str, title: str, label: str, care: str
) -> None:
    shown = agency("--lang", code, "record", "show", ref).out
    assert (title in shown, label in shown, care in shown) == (True, True, True)
    # A child called Other, and a text that is spelled like a code.
    assert "Other" in shown
    assert "unknown" in shown


def test_a_date_keeps_its_order_within_a_sentence_from_right_to_left() -> None:
    with in_language(LANGUAGES["ar"]):
        shown = field_words("last_seen", FIELDS["last_seen"])
        assert "\u20682026-03\u2069" in shown
        assert "\u2068river\u2069" in shown
        assert harmless(shown) == shown
    assert field_words("last_seen", FIELDS["last_seen"]).startswith("date: 2026-03; text: river; source: ")


def test_an_isolate_that_is_not_closed_cannot_reach_beyond_its_text() -> None:
    assert harmless("a\u2068b\u2069c") == "a\u2068b\u2069c"
    assert harmless("a\u2069b") == "a b"
    assert harmless("a\u2068b") == "a b"
    assert harmless("\u2069\u2068") == "  "
    assert harmless("a\u2066b\u2069") == "a b "
    assert isolated("\u2069أ") == "\u2068 أ\u2069"


@pytest.mark.parametrize(
    ("code", "error", "meaning", "hint"),
    [
        (
            "fr",
            "erreur: ",
            "Ce dossier n'existe pas dans le stockage local.",
            "conseil: voyez `exchange-agency",
        ),
        ("ar", "خطأ: ", "لا يوجد سجل كهذا في المخزن المحلي.", "تلميح: انظر `"),
        ("ru", "ошибка: ", "В местном хранилище нет такой карточки.", "подсказка: смотрите `"),
    ],
)
def test_an_error_says_its_meaning_then_its_own_words_and_code(
    agency: CommandLine, code: str, error: str, meaning: str, hint: str
) -> None:
    english = agency("record", "show", "nosuchrecord", ok=False)
    ran = agency("--lang", code, "record", "show", "nosuchrecord", ok=False)
    first, second = ran.err.splitlines()
    assert first.startswith(error + meaning)
    assert "there is no such record" in first
    assert "(RECORD_UNKNOWN)" in first
    assert second.startswith(hint)
    assert ran.code == english.code
    assert english.err.splitlines()[0] == "error: there is no such record (RECORD_UNKNOWN)"


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_error_code_has_a_sentence(code: str) -> None:
    with in_language(LANGUAGES[code]):
        said = {summary(errors.error_for(one)) for one in errors.error_codes()}
    assert len(said) == len(errors.error_codes())
    assert all(one.endswith(".") for one in said)


@pytest.mark.parametrize("code", LANGUAGES)
def test_what_programs_read_is_the_same_in_every_language(agency: CommandLine, ref: str, code: str) -> None:
    for command in (
        ("record", "show", ref, "--json"),
        ("record", "list", "--json"),
        ("consent", "list", "--json"),
        ("user", "list", "--json"),
        ("deletion", "list", "--json"),
    ):
        english, said = agency(*command), agency("--lang", code, *command)
        assert (said.code, said.out) == (english.code, english.out)


def test_a_setting_and_the_system_choose_too(agency: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEWARD_LANG", "ru")
    assert "согласия: пусто" in agency("consent", "list").out
    assert "consentements : rien" in agency("consent", "list", "--lang=fr").out
    monkeypatch.delenv("HOMEWARD_LANG")
    for name in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "fr_FR.UTF-8")
    assert "consentements : rien" in agency("consent", "list").out


def test_a_language_that_there_is_not_is_a_usage_error(agency: CommandLine) -> None:
    ran = agency("--lang", "xx", "consent", "list", ok=False)
    assert ran.code == exits.USAGE
    assert "'xx' is not one of" in ran.err


def test_after_a_double_dash_nothing_is_an_option(agency: CommandLine) -> None:
    ran = agency("record", "find", "--", "--lang", "ru")
    assert "records: nothing" in ran.out


@pytest.mark.parametrize(
    ("code", "kind"), [("fr", "Avis d'enfant trouvé"), ("ar", "إشعار بالعثور على طفل"), ("ru", "Извещение")]
)
def test_a_message_is_a_card_in_the_readers_language(
    capsys: pytest.CaptureFixture[str], code: str, kind: str
) -> None:
    message: Message = opened_message()
    with in_language(LANGUAGES[code]):
        print_message(message)
    shown = capsys.readouterr().out
    assert kind in shown
    assert message.gid in shown


@pytest.mark.parametrize(
    ("code", "active", "approver", "source"),
    [
        ("fr", "actif", "approbateur", "saisi ici"),
        ("ar", "سارٍ", "معتمِد", "أُدخل هنا"),
        ("ru", "действует", "утверждающий", "введено здесь"),
    ],
)
def test_where_a_thing_stands_is_said_in_the_readers_language(
    agency: CommandLine, ref: str, code: str, active: str, approver: str, source: str
) -> None:
    with in_language(LANGUAGES[code]):
        assert state_words("active") == active
    assert approver in agency("--lang", code, "user", "list").out
    assert source in agency("--lang", code, "record", "show", ref).out


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("en", "Got unexpected extra argument (x)"),
        ("fr", "Argument de trop (x)"),
        ("ar", "معطى زائد (x)"),
        ("ru", "Лишний аргумент (x)"),
    ],
)
def test_what_click_says_by_a_number_is_in_the_readers_language(
    agency: CommandLine, code: str, line: str
) -> None:
    assert line in agency("--lang", code, "spool", "x", ok=False).err
    one_of = agency("--lang", code, "consent", "grant", "x", "--kind", "no", ok=False).err
    assert ("is not one of" in one_of) is (code == "en")
