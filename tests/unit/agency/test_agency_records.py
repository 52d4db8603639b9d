"""Records in the local store: added, changed, found, decided, imported again; never in the clear."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from PIL import Image

from exchange.agency import Client, Record, Release
from exchange.agency import record_rows as rows
from exchange.agency.links import Links
from exchange.agency.plan import Plan
from exchange.agency.search import folded, matches
from exchange.agency.spool import Spool
from exchange.member.home import Home
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import (
    ConfigInvalid,
    ImportUnreadable,
    Malformed,
    NotPermitted,
    PhotoRefused,
    RecordUnknown,
    StoreCorrupt,
)
from exchange_schemas.ids import AgencyId, ThreadId
from tests.unit.agency.agency_samples import PASSPHRASE

FIELDS: dict[str, JsonValue] = {
    "name_given": {"text": "Plantedname"},
    "sex": "female",
    "age_range": {"min": 5, "max": 7, "as_of": "2026-05-01"},
}
PFIF = """<?xml version="1.0"?>
<pfif:pfif xmlns:pfif="http://zesty.ca/pfif/1.4">{persons}</pfif:pfif>"""
PERSON = """<pfif:person><pfif:person_record_id>x.example/{id}</pfif:person_record_id>
<pfif:source_date>2026-03-01T08:30:00Z</pfif:source_date><pfif:full_name>{name}</pfif:full_name>
<pfif:given_name>{name}</pfif:given_name><pfif:date_of_birth>{born}</pfif:date_of_birth></pfif:person>"""


@pytest.fixture
def client(home: Home) -> Iterator[Client]:
    with Client.open(home.path, "amal", PASSPHRASE) as opened:
        yield opened


def test_a_record_is_kept_encrypted_and_given_back(client: Client, home: Home) -> None:
    added = client.records.add(FIELDS)
    assert client.records.get(added.ref) == added
    assert client.records.get(added.ref[:5]).fields == FIELDS
    assert client.records.count() == 1
    for path in home.path.rglob("*"):
        if path.is_file():
            assert b"Plantedname" not in path.read_bytes()


def test_references_are_unique_by_their_beginning_or_unknown(client: Client) -> None:
    client.records.add(FIELDS)
    with pytest.raises(RecordUnknown):
        client.records.get("abc")
    with pytest.raises(RecordUnknown):
        client.records.get("zzzzzzzz")
    for ref in ("samesame1", "samesame2"):
        record = Record(ref, FIELDS, Release(()), "entered", client.session.now(), client.session.now())
        rows.save(client.session.store, record, [])
    with pytest.raises(RecordUnknown, match="several"):
        client.records.get("samesame")
    assert client.records.get("samesame1").ref == "samesame1"


@pytest.mark.parametrize(
    "fields",
    [
        {"colour": "red"},
        {"sex": "purple"},
        {"sex": None},
        {"name_given": {"text": "x" * 81}},
        {"birth_date": 2019},
    ],
)
def test_what_does_not_fit_the_catalogue_is_refused(client: Client, fields: dict[str, JsonValue]) -> None:
    with pytest.raises(Malformed):
        client.records.add(fields)
    assert client.records.count() == 0


def test_what_is_made_elsewhere_cannot_be_entered(client: Client) -> None:
    with pytest.raises(NotPermitted):
        client.records.add({"child_ref": "A" * 22})
    with pytest.raises(NotPermitted):
        client.records.add({"photo": {}})


def test_texts_are_brought_to_normal_form_c(client: Client) -> None:
    added = client.records.add({"name_given": {"text": "Ame\u0301lie"}})
    assert added.fields["name_given"] == {"text": "Am\u00e9lie"}


def test_an_edit_sets_and_takes_out_and_is_remembered_by_field_names(client: Client) -> None:
    ref = client.records.add(FIELDS).ref
    changed = client.records.edit(ref, {"birth_date": "2019"}, unset=["sex", "languages"])
    assert set(changed.fields) == {"name_given", "age_range", "birth_date"}
    history = client.records.detail(ref).history
    assert [(step.what, step.fields) for step in history] == [
        ("added", ("age_range", "name_given", "sex")),
        ("edited", ("birth_date", "sex")),
    ]
    with pytest.raises(Malformed):
        client.records.edit(ref, {"sex": "purple"})
    assert client.records.get(ref) == changed


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("plantedname", True),
        ("PLANTED female", True),
        ("planted male2", False),
        ("2026-05", True),
        ("", True),
    ],
)
def test_every_word_must_stand_in_the_record(client: Client, words: str, found: bool) -> None:
    client.records.add(FIELDS)
    assert bool(list(client.records.find(words))) is found


def test_case_accents_and_scripts_do_not_matter(client: Client) -> None:
    assert folded("Ämína ＡＢ") == "amina ab"
    record = client.records.add({"names_other": [{"text": "Исае\u0301ва"}, {"text": "أَمينة"}]})
    assert matches(record, "исаева أمينة")
    assert matches(record, record.ref[:4])


def test_a_decision_is_written_whole_and_valid_for_180_days(client: Client, tmp_path: Path) -> None:
    ref = client.records.add(FIELDS).ref
    minutes = tmp_path / "minutes"
    minutes.write_text("what was said")
    decided = client.records.decide(
        ref, procedure="bid", outcome="for_sharing", body="panel", on=date(2026, 11, 1), document=minutes
    ).fields["best_interests_decision"]
    assert isinstance(decided, dict)
    assert decided["valid_until"] == (date(2026, 11, 1) + timedelta(days=180)).isoformat()
    again = client.records.decide(
        ref, procedure="bid", outcome="for_sharing", body="panel", on=date(2026, 11, 1)
    )
    digests = {decided["document_digest"], str(again.fields["best_interests_decision"])}
    assert len(digests) == 2
    with pytest.raises(Malformed):
        client.records.decide(ref, procedure="vote", outcome="for_sharing", body="panel")
    with pytest.raises(ConfigInvalid):
        client.records.decide(
            ref, procedure="bid", outcome="against", body="panel", document=tmp_path / "none"
        )


def test_a_photo_is_made_safe_and_goes_with_its_field(client: Client, tmp_path: Path) -> None:
    ref = client.records.add(FIELDS).ref
    picture = tmp_path / "p.png"
    Image.new("RGB", (40, 30), "red").save(picture)
    changed = client.records.attach_photo(ref, picture, taken_on="2026")
    described = changed.fields["photo"]
    assert isinstance(described, dict)
    assert (described["width"], described["height"], described["taken_on"]) == (40, 30, "2026")
    assert client.records.photo(ref) is not None
    client.records.edit(ref, {}, unset=["photo"])
    assert client.records.photo(ref) is None
    broken = tmp_path / "b.jpg"
    broken.write_bytes(b"no picture")
    with pytest.raises(PhotoRefused):
        client.records.attach_photo(ref, broken)


def pfif(path: Path, *persons: tuple[str, str, str]) -> Path:
    texts = [PERSON.format(id=ident, name=name, born=born) for ident, name, born in persons]
    path.write_text(PFIF.format(persons="".join(texts)))
    return path


def test_the_same_file_again_changes_nothing(client: Client, tmp_path: Path) -> None:
    file = pfif(tmp_path / "a.xml", ("1", "Anna", "2019"), ("2", "Berta", "2018"))
    first = list(client.records.import_file(file))
    assert [line.outcome for line in first] == ["imported", "imported"]
    second = list(client.records.import_file(file))
    assert [(line.outcome, line.ref) for line in second] == [("unchanged", line.ref) for line in first]
    assert client.records.count() == 2


def test_a_later_import_updates_but_never_what_was_edited_here(client: Client, tmp_path: Path) -> None:
    (line,) = client.records.import_file(pfif(tmp_path / "a.xml", ("1", "Anna", "2019")))
    assert line.ref is not None
    client.records.edit(line.ref, {"birth_date": "2019-05", "languages": ["ar"]})
    (again,) = client.records.import_file(pfif(tmp_path / "b.xml", ("1", "Hanna", "2018")))
    assert (again.outcome, again.ref) == ("updated", line.ref)
    fields = client.records.get(line.ref).fields
    assert fields["birth_date"] == "2019-05"
    assert fields["languages"] == ["ar"]
    assert "Hanna" in str(fields["name_given"])
    client.records.edit(line.ref, {}, unset=["name_given"])
    list(client.records.import_file(pfif(tmp_path / "b.xml", ("1", "Hanna", "2018"))))
    assert "name_given" not in client.records.get(line.ref).fields


def test_what_was_read_before_a_file_breaks_is_kept(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    whole = pfif(tmp_path / "w.xml", ("1", "Anna", "2019"), ("2", "Berta", "2018")).read_text()
    file.write_text(whole[: whole.index("Berta")])
    lines = []

    def run() -> None:
        for line in client.records.import_file(file):
            lines.append(line)

    with pytest.raises(ImportUnreadable):
        run()
    assert [line.outcome for line in lines] == ["imported"]
    assert client.records.count() == 1


def test_an_import_without_a_basis_waits_for_a_decision(client: Client, tmp_path: Path) -> None:
    (line,) = client.records.import_file(pfif(tmp_path / "a.xml", ("1", "Anna", "2019")))
    assert line.ref is not None
    record = client.records.get(line.ref)
    assert client.records.sendable(record).rule == "S04-basis"
    decided = client.records.decide(line.ref, procedure="bia", outcome="for_sharing", body="panel")
    assert "trace" in client.records.sendable(decided).purposes


def test_every_partner_knows_the_child_by_another_reference(client: Client) -> None:
    links = Links(client.session.store, client.session.random)
    first, second = AgencyId("embassy-a"), AgencyId("ngo-b")
    assert links.child_ref("r", first) == links.child_ref("r", first)
    assert len({links.child_ref("r", first), links.child_ref("r", second), links.child_ref("q", first)}) == 3
    thread = ThreadId("B" * 21 + "A")
    links.join("r", first, thread)
    assert links.thread("r", first) == thread
    assert links.record_of(thread) == "r"
    assert links.record_of(ThreadId("C" * 21 + "A")) is None


@pytest.mark.parametrize("value", [{}, {"fields": []}, {"fields": {}, "release": {}, "source_key": None}])
def test_a_row_of_another_form_is_store_corrupt(client: Client, value: dict[str, JsonValue]) -> None:
    with pytest.raises(StoreCorrupt):
        rows.from_json("x", value)
    with pytest.raises(StoreCorrupt):
        Plan.from_json(value)
    client.session.store.put("spool", "job", value)
    with pytest.raises(StoreCorrupt):
        list(Spool(client.session.store, client.session.home.spool).each())
    with pytest.raises(RecordUnknown):
        client.resume("no-such-job")
