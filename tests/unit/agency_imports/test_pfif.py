"""PFIF: what is mapped, what is refused with its rule, and hostile XML."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exchange.agency.imports import pfif_xml
from exchange.agency.imports.model import Imported, Refused
from exchange.agency.imports.source import read_source
from exchange_schemas.errors import ImportUnreadable

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(text: str) -> Path:
        path = tmp_path / "input.xml"
        path.write_text(text, "utf-8")
        return path

    return make


def pfif(body: str, version: str = "1.4") -> str:
    return f'<?xml version="1.0"?><p:pfif xmlns:p="http://zesty.ca/pfif/{version}">{body}</p:pfif>'


def person(**texts: str) -> str:
    inner = "".join(f"<p:{name}>{text}</p:{name}>" for name, text in texts.items())
    return f"<p:person>{inner}</p:person>"


def one(path: Path) -> Imported:
    (result,) = list(read_source(path, now=NOW))
    assert isinstance(result, Imported)
    return result


def refused(path: Path) -> Refused:
    (result,) = list(read_source(path, now=NOW))
    assert isinstance(result, Refused)
    return result


def why(result: Imported) -> dict[str, str]:
    return {item.field: item.why for item in result.left_out}


def test_names_age_and_home_are_mapped(write: Write) -> None:
    result = one(
        write(
            pfif(
                person(
                    person_record_id="x/1",
                    source_date="2026-03-01T00:00:00Z",
                    full_name="Ана Поле",
                    given_name="Ана",
                    family_name="Поле",
                    alternate_names="Ana\nآنا",
                    sex="female",
                    date_of_birth="2019-04",
                    age="6-8",
                    home_country="FR",
                    home_state="Hillshire",
                )
            )
        )
    )
    assert result.fields == {
        "name_given": {"text": "Ана", "script": "Cyrl"},
        "name_family": {"text": "Поле", "script": "Cyrl"},
        "names_other": [{"text": "Ana", "script": "Latn"}, {"text": "آنا", "script": "Arab"}],
        "sex": "female",
        "birth_date": "2019-04",
        "age_range": {"min": 6, "max": 8, "as_of": "2026-03-01"},
        "home_area": {"country": "FR", "area": "Hillshire"},
    }
    assert result.flags.needs_basis
    assert result.flags.purposes == ()
    assert result.age_known
    assert not result.adult_now


@pytest.mark.parametrize("version", ["1.1", "1.2", "1.3"])
def test_older_versions_name_given_and_family_names_otherwise(write: Write, version: str) -> None:
    result = one(write(pfif(person(first_name="Ana", last_name="Pole"), version)))
    assert result.fields == {
        "name_given": {"text": "Ana", "script": "Latn"},
        "name_family": {"text": "Pole", "script": "Latn"},
    }
    assert result.source == f"pfif-{version}"
    assert not result.age_known


def test_an_adult_at_the_source_date_is_refused_with_the_rule(write: Write) -> None:
    result = refused(write(pfif(person(given_name="A", age="35-45", source_date="2000-01-01T00:00:00Z"))))
    assert (result.rule, result.field) == ("pfif-adult", "age")


def test_seventeen_or_more_may_still_be_a_child(write: Write) -> None:
    assert one(write(pfif(person(given_name="A", age="17-25", source_date="2026-01-01T00:00:00Z"))))


def test_a_child_then_who_is_an_adult_now_is_imported_and_marked(write: Write) -> None:
    result = one(write(pfif(person(given_name="A", age="12", source_date="2016-01-01T00:00:00Z"))))
    assert result.adult_now


def test_past_its_expiry_date_is_refused(write: Write) -> None:
    result = refused(write(pfif(person(given_name="A", expiry_date="2026-11-23T12:00:00Z"))))
    assert result.rule == "pfif-expired"


def test_a_note_outside_any_person_is_refused(write: Write) -> None:
    assert refused(write(pfif("<p:note><p:text>words</p:text></p:note>"))).rule == "pfif-note"


def test_sex_other_becomes_unknown_and_that_is_said(write: Write) -> None:
    result = one(write(pfif(person(given_name="A", sex="other"))))
    assert result.fields["sex"] == "unknown"
    assert "unknown" in why(result)["sex"]


def test_free_text_is_kept_for_transcription_and_never_mapped(write: Write) -> None:
    link = "<p:linked_person_record_id>x/2</p:linked_person_record_id>"
    scar = "<p:description>SCAR</p:description>"
    note = f"<p:note><p:text>SECRET-WORDS</p:text>{link}</p:note>"
    result = one(write(pfif(f"<p:person><p:given_name>A</p:given_name>{scar}{note}</p:person>")))
    assert ("description", "SCAR") in result.to_transcribe
    assert ("note text", "SECRET-WORDS") in result.to_transcribe
    assert result.same_person_hints == ("x/2",)
    assert "SECRET" not in str(result.fields)


def test_contacts_photos_and_fine_places_are_left_out_by_name_without_values(write: Write) -> None:
    result = one(
        write(
            pfif(
                person(
                    given_name="A", author_email="VALUE", photo_url="VALUE", home_street="VALUE", odd="VALUE"
                )
            )
        )
    )
    reasons = why(result)
    assert {"author_email", "photo_url", "home_street", "elements PFIF does not name"} <= reasons.keys()
    assert "VALUE" not in str(reasons)
    assert "odd" not in str(reasons)


def test_the_newest_dated_note_gives_where_the_child_was_last_seen(write: Write) -> None:
    notes = "".join(
        f"<p:note><p:source_date>{day}T00:00:00Z</p:source_date>"
        f"<p:last_known_location>{place}</p:last_known_location></p:note>"
        for day, place in (("2026-01-05", "New place"), ("2025-01-05", "Old place"))
    )
    result = one(write(pfif(f"<p:person><p:given_name>A</p:given_name>{notes}</p:person>")))
    assert result.fields["last_seen"] == {
        "date": "2026-01-05",
        "text": "New place",
        "source": "other",
        "confidence": "low",
    }


def test_coordinates_are_never_imported(write: Write) -> None:
    place = "<p:last_known_location>19.16592 -71.93847</p:last_known_location>"
    note = f"<p:note><p:source_date>2026-01-05T00:00:00Z</p:source_date>{place}</p:note>"
    result = one(write(pfif(f"<p:person><p:given_name>A</p:given_name>{note}</p:person>")))
    assert "last_seen" not in result.fields
    assert "last_known_location" in why(result)


def test_a_name_too_long_for_the_field_is_left_out_not_cut(write: Write) -> None:
    result = one(write(pfif(person(given_name="x" * 81, family_name="Pole"))))
    assert "name_given" not in result.fields
    assert "given_name" in why(result)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (
            '<!DOCTYPE p [<!ENTITY a "b">]><p:pfif xmlns:p="http://zesty.ca/pfif/1.4">&a;</p:pfif>',
            "import-entities",
        ),
        (
            '<!DOCTYPE p SYSTEM "http://127.0.0.1:1/x"><p:pfif xmlns:p="http://zesty.ca/pfif/1.4"/>',
            "import-entities",
        ),
        (pfif("<p:person><p:given_name>A</p:person>"), "import-xml"),
        (pfif("<p:person>" + "<p:x>" * 50 + "</p:x>" * 50 + "</p:person>"), "import-depth"),
        ("<p>" * 100_000, "import-format"),
        ('<html xmlns="http://www.w3.org/1999/xhtml"></html>', "import-format"),
        ('<p:pfif xmlns:p="http://zesty.ca/pfif/9.9"></p:pfif>', "import-format"),
        ("not XML", "import-format"),
        ("", "import-format"),
    ],
)
def test_hostile_or_foreign_input_is_unreadable_with_its_rule(write: Write, text: str, rule: str) -> None:
    with pytest.raises(ImportUnreadable) as caught:
        list(read_source(write(text), now=NOW))
    assert caught.value.rule == rule


def test_one_endless_record_is_refused_before_it_fills_the_memory(write: Write) -> None:
    with pytest.raises(ImportUnreadable) as caught:
        list(read_source(write(pfif(person(given_name="x" * (3 * pfif_xml.MAX_RECORD_BYTES)))), now=NOW))
    assert caught.value.rule == "import-size"


def test_too_many_elements_in_one_record_are_refused(write: Write) -> None:
    body = "<p:person>" + "<p:x/>" * (pfif_xml.MAX_ELEMENTS + 1) + "</p:person>"
    with pytest.raises(ImportUnreadable) as caught:
        list(read_source(write(pfif(body)), now=NOW))
    assert caught.value.rule == "import-size"


def test_what_came_before_the_break_is_yielded_whole(write: Write) -> None:
    source = read_source(write(pfif(person(given_name="A") + "x" * 200_000 + "<broken")), now=NOW)
    assert isinstance(next(source), Imported)
    with pytest.raises(ImportUnreadable):
        next(source)


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(ImportUnreadable):
        list(read_source(tmp_path / "none.xml", now=NOW))


def test_the_shared_children_are_imported_but_the_expired_ones(shared_data: Path) -> None:
    results = list(read_source(shared_data / "pfif" / "children.pfif-1.4.xml", now=NOW))
    refusals = [item.rule for item in results if isinstance(item, Refused)]
    assert len(results) == 24
    assert refusals == ["pfif-expired"] * 3
    assert all(item.fields["name_given"] for item in results if isinstance(item, Imported))


@pytest.mark.parametrize("name", ["test.pfif-1.4.xml", "test.pfif-1.2.xml", "test.pfif-1.2-badrecord.xml"])
def test_the_adults_of_the_public_test_files_are_all_refused_without_a_value(
    shared_data: Path, name: str
) -> None:
    results = list(read_source(shared_data / "pfif" / name, now=NOW))
    assert results
    assert {item.rule for item in results if isinstance(item, Refused)} == {"pfif-adult"}
    assert not any(isinstance(item, Imported) for item in results)
    assert "_test_" not in str(results)
    assert "@" not in str(results)
