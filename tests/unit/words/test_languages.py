"""Which language is chosen, and what a text becomes in it."""

import pytest

from exchange.words import (
    LANGUAGES,
    apart,
    chosen,
    gettext,
    in_language,
    language,
    ngettext,
    pgettext,
    preferred,
    reason,
)

FRENCH, ARABIC, RUSSIAN = LANGUAGES["fr"], LANGUAGES["ar"], LANGUAGES["ru"]


@pytest.mark.parametrize(
    ("named", "environ", "code"),
    [
        ("fr", {"HOMEWARD_LANG": "ru", "LANG": "ar_EG.UTF-8"}, "fr"),
        (None, {"HOMEWARD_LANG": "ru", "LC_ALL": "ar_EG.UTF-8"}, "ru"),
        (None, {"LC_ALL": "ar_EG.UTF-8", "LC_MESSAGES": "fr_FR", "LANG": "ru_RU"}, "ar"),
        (None, {"LC_ALL": "", "LC_MESSAGES": "fr_CA.UTF-8", "LANG": "ru_RU"}, "fr"),
        (None, {"LANG": "ru_RU.KOI8-R"}, "ru"),
        (None, {"LC_ALL": "C", "LANG": "fr_FR"}, "en"),
        (None, {"LC_ALL": "C.UTF-8"}, "en"),
        (None, {"LANG": "de_DE.UTF-8"}, "en"),
        ("FR-ca", {}, "fr"),
        (None, {}, "en"),
    ],
)
def test_the_command_line_decides_before_the_setting_before_the_system(
    named: str | None, environ: dict[str, str], code: str
) -> None:
    assert chosen(named, environ).code == code


@pytest.mark.parametrize(
    ("ranges", "code"),
    [
        ([("fr-CA", 1.0), ("en", 0.8)], "fr"),
        ([("de", 1.0), ("ar-EG", 0.3)], "ar"),
        ([("ru", 0.0), ("fr", 0.0), ("*", 0.1)], "en"),
        ([("AR", 1.0)], "ar"),
        ([("de", 1.0)], "en"),
        ([], "en"),
    ],
)
def test_a_reader_gets_the_first_language_that_both_speak(ranges: list[tuple[str, float]], code: str) -> None:
    assert preferred(ranges).code == code


def test_only_arabic_runs_from_right_to_left() -> None:
    assert {one.code for one in LANGUAGES.values() if one.direction == "rtl"} == {"ar"}


def test_a_language_ends_with_its_block_whatever_happens_in_it() -> None:
    def fail() -> None:
        with in_language(RUSSIAN):
            assert language() is RUSSIAN
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert language().code == "en"


def test_a_text_without_a_translation_stays_english() -> None:
    with in_language(FRENCH):
        assert gettext("no such text {here}", here="x") == "no such text x"
        assert gettext("") == ""
        assert pgettext("code", "") == ""


def test_the_same_word_is_said_as_its_place_asks() -> None:
    with in_language(FRENCH):
        assert pgettext("code", "law") == "loi"
        assert pgettext("column", "to") == "à"


def test_values_are_isolated_where_the_text_runs_from_right_to_left() -> None:
    with in_language(ARABIC):
        assert gettext("from {agency}", agency="ngo-a") == "from \u2068ngo-a\u2069"
        assert apart("key unknown") == "\u2068key unknown\u2069"
        assert gettext("from {agency}", agency="") == "from "
    with in_language(FRENCH):
        assert gettext("from {agency}", agency="ngo-a") == "from ngo-a"
        assert apart("key unknown") == "key unknown"


@pytest.mark.parametrize(("code", "forms"), [("fr", 2), ("ru", 3), ("ar", 6)])
def test_every_plural_form_is_used(code: str, forms: int) -> None:
    with in_language(LANGUAGES[code]):
        said = {
            ngettext("{count} day after it was opened", "{count} days after it was opened", count).replace(
                str(count), ""
            )
            for count in (0, 1, 2, 3, 5, 11, 21, 100, 101)
        }
    assert len(said) == forms


def test_a_rules_reason_keeps_the_name_of_its_field() -> None:
    with in_language(RUSSIAN):
        assert reason("birth_date: not in the consent", "birth_date") == "birth_date: не входит в согласие"
        assert reason("not in the consent", None) == "не входит в согласие"
        assert reason("not in the consent", "birth_date") == "не входит в согласие"
