"""What a person types for a field: brought to the catalogue's form, and explained where it is wrong."""

from __future__ import annotations

from datetime import date

import pytest

from exchange.agency.entering import entered
from exchange.agency.typed import typed, what_it_takes
from exchange.words import LANGUAGES, in_language
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import Malformed
from tests.unit.agency.cli_runner import CommandLine

TODAY = date(2026, 11, 26)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("name_given", "أمينة", {"text": "أمينة"}),
        ("name_family", "Исаева, Хан", {"text": "Исаева, Хан"}),
        ("names_other", "Amina, called Ami", [{"text": "Amina, called Ami"}]),
        ("birth_place", "Mosul", {"text": "Mosul"}),
        ("age_range", "6-8", {"min": 6, "max": 8, "as_of": "2026-11-26"}),
        ("age_range", "7", {"min": 7, "max": 7, "as_of": "2026-11-26"}),
        ("languages", "ar, ru", ["ar", "ru"]),
        ("health_need_codes", "injury,nutrition", ["injury", "nutrition"]),
        ("sex", "female", "female"),
        ("birth_date", "2019-05", "2019-05"),
    ],
)
def test_what_is_typed_becomes_what_the_catalogue_takes(name: str, text: str, value: JsonValue) -> None:
    assert entered(typed({name: text}, today=TODAY)) == {name: value}


@pytest.mark.parametrize("value", [{"text": "Amina", "script": "Latn"}, [{"text": "Amina"}], True])
def test_what_was_json_stays_as_it_is(value: JsonValue) -> None:
    fields: dict[str, JsonValue] = {"name_given": value, "no_such_field": "6-8"}
    assert typed(fields, today=TODAY) == fields


@pytest.mark.parametrize("text", ["8-6", "six", "6-", "-6", "99", "6-8-9", "6.5"])
def test_an_age_that_is_none_is_refused_with_what_the_field_takes(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        entered(typed({"age_range": text}, today=TODAY))
    assert (caught.value.field or "").startswith("age_range")
    assert (caught.value.hint or "").startswith("age_range takes an object of min: a whole number")


def test_a_wrong_code_is_answered_with_the_codes(agency: CommandLine) -> None:
    ran = agency("record", "add", "--set", "sex=girl", ok=False)
    assert ran.code == 1
    assert ran.err.splitlines()[-1] == "hint: sex takes one of female, male, unknown"
    assert "girl" not in ran.err


def test_a_wrong_part_of_a_value_is_answered_with_what_the_field_takes(agency: CommandLine) -> None:
    ran = agency("record", "add", "--set", 'marks=[{"site": "arm"}]', ok=False)
    assert "marks.kind" in ran.err
    assert "hint: marks takes 1 to 6 items, each an object of site: one of head" in ran.err


def test_a_record_of_nothing_is_not_added(agency: CommandLine) -> None:
    assert agency("record", "add", ok=False).code == 64
    assert agency("record", "list", "--json").lines == []


def test_every_field_is_explained_in_every_language() -> None:
    for language in LANGUAGES.values():
        with in_language(language):
            said = {name: what_it_takes(one.type) for name, one in load_catalogue().fields.items()}
        assert all(said.values())
        assert "female" in said["sex"]
        assert ("أنثى" in said["sex"]) is (language.code == "ar")


def test_the_fields_are_listed_with_what_to_enter(agency: CommandLine) -> None:
    said = agency("record", "fields").out
    assert "years, such as 6 or 6-8" in said
    assert "child_ref" not in said
    assert [one["name"] for one in agency("record", "fields", "sex", "marks", "--json").json] == [
        "sex",
        "marks",
    ]
    unknown = agency("record", "fields", "shoe", ok=False)
    assert (unknown.code, "`exchange-agency record fields` lists all" in unknown.err) == (1, True)
