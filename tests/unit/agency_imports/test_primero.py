"""Primero v2: flags, dates, locations, what is mapped and what is left out."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from exchange.agency.imports.model import Imported, Refused
from exchange.agency.imports.primero import release_flags
from exchange.agency.imports.source import read_source
from exchange_schemas.errors import ImportUnreadable

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def write(folder: Path, value: object, name: str = "cases.json") -> Path:
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
    return path


def one(folder: Path, *, locations: Path | None = None, **case: Any) -> Imported:
    (result,) = list(
        read_source(write(folder, {"data": [{"id": "c1", **case}]}), now=NOW, locations=locations)
    )
    assert isinstance(result, Imported)
    return result


@pytest.mark.parametrize("bare", [True, False])
def test_a_bare_list_and_an_object_with_data_are_both_read(tmp_path: Path, bare: bool) -> None:
    rows = [{"id": "c1", "name_first": "Ana", "sex": "female"}]
    (result,) = list(read_source(write(tmp_path, rows if bare else {"data": rows, "metadata": {}}), now=NOW))
    assert isinstance(result, Imported)
    assert result.fields == {"name_given": {"text": "Ana", "script": "Latn"}, "sex": "female"}


@pytest.mark.parametrize(
    ("flags", "purposes", "withheld"),
    [
        ({"consent_for_tracing": True, "disclosure_other_orgs": True}, ("trace", "verify"), None),
        ({"consent_for_services": True, "disclosure_other_orgs": True}, ("health", "care"), None),
        ({"consent_for_tracing": None, "disclosure_other_orgs": True}, (), None),
        ({"consent_for_tracing": "true", "disclosure_other_orgs": True}, (), None),
        ({"consent_for_tracing": True, "disclosure_other_orgs": None}, (), "primero-no-disclosure"),
        ({"consent_for_tracing": True, "disclosure_other_orgs": False}, (), "primero-no-disclosure"),
        ({"consent_for_tracing": True}, (), "primero-no-disclosure"),
        (
            {"consent_for_tracing": True, "disclosure_other_orgs": True, "withholding_info_reason": ["fear"]},
            (),
            "primero-withheld",
        ),
        (
            {"consent_for_tracing": True, "disclosure_other_orgs": True, "withholding_info_reason": []},
            ("trace", "verify"),
            None,
        ),
    ],
)
def test_only_a_plain_true_is_a_yes_and_the_stricter_flag_wins(
    flags: dict[str, Any], purposes: tuple[str, ...], withheld: str | None
) -> None:
    found = release_flags(flags)
    assert (found.purposes, found.withheld, found.needs_basis) == (purposes, withheld, False)


@pytest.mark.parametrize("date", ["2019-04-15", "2019/04/15"])
def test_dates_with_hyphens_and_with_slashes_are_the_same(tmp_path: Path, date: str) -> None:
    result = one(tmp_path, date_of_birth=date, date_of_separation=date, registration_date=date)
    assert result.fields["birth_date"] == "2019-04-15"
    assert result.fields["separation_date"] == "2019-04-15"


def test_an_estimate_keeps_only_the_year_and_widens_the_age(tmp_path: Path) -> None:
    result = one(tmp_path, date_of_birth="2019-04-15", age=7, estimated=True, registration_date="2026-03-02")
    assert result.fields["birth_date"] == "2019"
    assert result.fields["age_range"] == {"min": 6, "max": 8, "as_of": "2026-03-02"}


def test_an_adult_at_registration_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, [{"id": "c1", "age": 22, "registration_date": "2019-05-07"}])
    (result,) = list(read_source(path, now=NOW))
    assert isinstance(result, Refused)
    assert result.rule == "primero-adult"


def test_relatives_keep_their_relation_and_whether_they_live(tmp_path: Path) -> None:
    section = [
        {"relation": "grandmother", "relation_name": "Old Ana", "relation_is_alive": "alive"},
        {"relation": "odd", "relation_name": "Somebody", "relation_is_alive": None},
        {"relation": "father", "relation_name": None},
    ]
    result = one(tmp_path, family_details_section=section)
    assert result.fields["relatives"] == [
        {"relation": "grandmother", "name": "Old Ana", "living": "yes"},
        {"relation": "unknown", "name": "Somebody", "living": "unknown"},
    ]
    assert "family_details_section" in {item.field for item in result.left_out}


def test_a_location_code_is_coarsened_only_with_the_location_list(tmp_path: Path) -> None:
    assert "current_area" not in one(tmp_path, location_current="D01").fields
    locations = {
        "data": [
            {"code": "C1", "name": {"en": "France"}, "admin_level": 0, "hierarchy": []},
            {"code": "R1", "name": {"en": "France::Hillshire"}, "admin_level": 1, "hierarchy": ["C1"]},
            {
                "code": "D01",
                "name": {"en": "France::Hillshire::Old Town"},
                "admin_level": 2,
                "hierarchy": ["C1", "R1"],
            },
        ]
    }
    path = write(tmp_path, locations, "locations.json")
    result = one(tmp_path, locations=path, location_current="D01", location_separation="D01")
    assert result.fields["current_area"] == {"country": "FR", "area": "Hillshire"}
    assert result.fields["separation_place"] == {"text": "Old Town", "country": "FR", "area": "Hillshire"}


def test_special_categories_and_concerns_are_left_out_by_name(tmp_path: Path) -> None:
    result = one(
        tmp_path, religion=["VALUE"], ethnicity=["VALUE"], protection_concerns=["VALUE"], odd_field="VALUE"
    )
    names = {item.field for item in result.left_out}
    assert {"religion", "ethnicity", "protection_concerns", "fields of this deployment"} <= names
    assert "VALUE" not in str(result.left_out)
    assert "odd_field" not in str(result.left_out)
    assert result.fields == {}


def test_languages_and_nationality_become_codes_and_unknown_ones_are_left_out(tmp_path: Path) -> None:
    result = one(tmp_path, language=["arabic", "nonsense"], nationality=["kazakhstan", "nowhere"])
    assert result.fields["languages"] == ["ar"]
    assert result.fields["nationality_claim"] == [{"country": "KZ", "basis": "stated"}]
    assert {"language", "nationality"} <= {item.field for item in result.left_out}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("{", "import-json"),
        ('{"data": [{"id": "1", "id": "2"}]}', "import-json"),
        ('{"data": [{"age": NaN}]}', "import-json"),
        ("[" * 100_000, "import-depth"),
        ('{"data": {}}', None),
        ("[1]", None),
        ('{"other": []}', None),
    ],
)
def test_what_is_no_case_list_is_unreadable(tmp_path: Path, text: str, rule: str | None) -> None:
    with pytest.raises(ImportUnreadable) as caught:
        list(read_source(write(tmp_path, text), now=NOW))
    assert caught.value.rule == rule


def test_the_shared_cases_are_imported_with_their_flags(shared_data: Path) -> None:
    results = list(read_source(shared_data / "primero" / "cases.json", now=NOW))
    assert len(results) == 24
    children = [item for item in results if isinstance(item, Imported)]
    assert len(children) == 24
    assert any(item.flags.purposes for item in children)
    assert any(item.flags.withheld for item in children)
