"""PFIF persons mapped to the catalogue, with the import rules of that format.

Rules, each with a permanent tag:
  pfif-expired   past its expiry_date: refused
  pfif-adult     the youngest possible age at the source date is 18 or more: refused
  pfif-note      a note outside any person: refused, notes are never mapped
PFIF carries no consent flags: a basis of the holder's own is always needed before anything is sent.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from exchange.agency.imports.ages import (
    MAJORITY_YEARS,
    MAX_AGE_YEARS,
    AgeRange,
    parse_age,
    parse_partial_date,
    youngest_age,
)
from exchange.agency.imports.geography import country_code
from exchange.agency.imports.mapping import Collector, clean, name_value, other_names
from exchange.agency.imports.model import Imported, Refused, ReleaseFlags
from exchange.agency.imports.pfif_xml import RawPerson, read_persons
from exchange_schemas.codec import JsonValue

_ROUTING = frozenset({"person_record_id", "entry_date", "source_date", "expiry_date"})
_FINER = "finer than the first level of a country"
_AUTHOR = "about the person who wrote the record, not about the child"
_WHY_NOT = {
    "author_name": _AUTHOR,
    "author_email": _AUTHOR,
    "author_phone": _AUTHOR,
    "source_name": "where the record came from stays local",
    "source_url": "where the record came from stays local",
    "photo_url": "a photo is never fetched; attach the file with: record photo",
    "profile_urls": "profiles elsewhere are not part of the minimal record",
    "home_city": _FINER,
    "home_neighborhood": _FINER,
    "home_street": _FINER,
    "home_postal_code": _FINER,
}
_NOTE_WHY = {
    "status": "told to the person, never mapped",
    "found": "told to the person, never mapped",
    "author_made_contact": "told to the person, never mapped",
    "phone_of_found_person": "a telephone number is never imported",
    "email_of_found_person": "an e-mail address is never imported",
    "photo_url": "a photo is never fetched",
}
_COORDINATES = re.compile(r"\s*[-+]?\d{1,3}\.\d+\s*[,; ]\s*[-+]?\d{1,3}\.\d+\s*")


def read(path: Path, *, now: datetime) -> Iterator[Imported | Refused]:
    """Yield every person of a PFIF file, mapped or refused. Raises: ImportUnreadable."""
    for position, person in enumerate(read_persons(path), start=1):
        if person is None:
            yield Refused(position, "pfif", "note", "pfif-note", "a note outside any person is not imported")
        else:
            yield _import(person, position, now)


def _import(person: RawPerson, position: int, now: datetime) -> Imported | Refused:
    source = f"pfif-{person.version}"
    expiry = _time(person.texts.get("expiry_date"))
    if expiry is not None and expiry <= now:
        return Refused(position, source, "expiry_date", "pfif-expired", "the record is past its expiry date")
    stated_on = (
        _time(person.texts.get("source_date")) or _time(person.texts.get("entry_date")) or now
    ).date()
    birth = parse_partial_date(person.texts.get("date_of_birth", ""))
    age = parse_age(person.texts.get("age", ""))
    then = youngest_age(birth, age, stated_on, stated_on)
    if then is not None and then >= MAJORITY_YEARS:
        field = "date_of_birth" if birth is not None else "age"
        return Refused(
            position,
            source,
            field,
            "pfif-adult",
            f"at the source date the person was {MAJORITY_YEARS} or older",
        )
    today = youngest_age(birth, age, stated_on, now.date())
    collector = Collector()
    _map_names(person.texts, collector)
    _map_age(person.texts, birth, age, stated_on, collector)
    _map_places(person, collector)
    _leave_rest(person, collector)
    return Imported(
        position=position,
        source=source,
        source_id=person.texts.get("person_record_id", ""),
        fields=collector.fields,
        flags=ReleaseFlags(purposes=(), needs_basis=True, withheld=None),
        left_out=collector.left_out,
        to_transcribe=tuple(collector.to_transcribe),
        same_person_hints=_hints(person),
        adult_now=today is not None and today >= MAJORITY_YEARS,
        age_known=today is not None,
    )


def _map_names(texts: Mapping[str, str], collector: Collector) -> None:
    known = []
    for source, name in (("given_name", "name_given"), ("family_name", "name_family")):
        text = texts.get(source)
        if text is not None and collector.take(name, name_value(text), source=source):
            known.append(text)
    others = texts.get("alternate_names", "").splitlines()
    full = texts.get("full_name")
    if full is not None:
        others.append(full)
        known += [" ".join(known), " ".join(reversed(known))]
    names = other_names(others, known=known)
    if names:
        collector.take("names_other", names, source="alternate_names" if len(others) > 1 else "full_name")


def _map_age(
    texts: Mapping[str, str], birth: str | None, age: AgeRange | None, stated_on: date, collector: Collector
) -> None:
    sex = texts.get("sex")
    if sex is not None:
        known = sex if sex in ("female", "male") else "unknown"
        collector.take("sex", known, source="sex")
        if sex != known:
            collector.leave_out("sex", "its code has no counterpart; kept as unknown")
    if birth is not None:
        collector.take("birth_date", birth, source="date_of_birth")
    elif "date_of_birth" in texts:
        collector.leave_out("date_of_birth", "not a date of the form YYYY, YYYY-MM or YYYY-MM-DD")
    if age is not None:
        oldest = min(age.oldest, MAX_AGE_YEARS)
        value: JsonValue = {"min": age.youngest, "max": oldest, "as_of": stated_on.isoformat()}
        collector.take("age_range", value, source="age")
    elif "age" in texts:
        collector.leave_out("age", "neither a number of years nor a range")


def _map_places(person: RawPerson, collector: Collector) -> None:
    country = country_code(person.texts.get("home_country", ""))
    if country is not None:
        area = person.texts.get("home_state")
        home = {"country": country} if area is None else {"country": country, "area": clean(area)}
        collector.take("home_area", dict(home), source="home_state" if area is not None else "home_country")
    elif "home_country" in person.texts:
        collector.leave_out("home_country", "not a country of ISO 3166-1")
        if "home_state" in person.texts:
            collector.leave_out("home_state", "a region without its country is not mapped")
    elif "home_state" in person.texts:
        collector.leave_out("home_state", "a region without its country is not mapped")
    seen = [
        note for note in person.notes if note.get("last_known_location") and _time(note.get("source_date"))
    ]
    if seen:
        _map_last_seen(max(seen, key=lambda note: note["source_date"]), collector)


def _map_last_seen(note: Mapping[str, str], collector: Collector) -> None:
    if _COORDINATES.fullmatch(note["last_known_location"]):
        collector.leave_out("last_known_location", "coordinates are finer than the exchange carries")
        return
    value: dict[str, str] = {
        "date": note["source_date"][:10],
        "text": clean(note["last_known_location"]),
        "source": "other",
        "confidence": "low",
    }
    collector.take("last_seen", dict(value), source="last_known_location")


def _leave_rest(person: RawPerson, collector: Collector) -> None:
    for name, why in _WHY_NOT.items():
        if name in person.texts:
            collector.leave_out(name, why)
    if "description" in person.texts:
        collector.transcribe("description", person.texts["description"])
    for note in person.notes:
        if note.get("text"):
            collector.transcribe("note text", note["text"])
        for name, why in _NOTE_WHY.items():
            if note.get(name):
                collector.leave_out(f"note {name}", why)
    known = _ROUTING | _WHY_NOT.keys() | {"description", "given_name", "family_name", "full_name"}
    known |= {"alternate_names", "sex", "date_of_birth", "age", "home_country", "home_state"}
    unknown = person.unknown | (person.texts.keys() - known)
    if unknown:
        # The names are the file's own text, so they are counted, not repeated.
        collector.leave_out("elements PFIF does not name", f"{len(unknown)} of them, not mapped")
    for name in sorted(person.repeated & known):
        collector.leave_out(name, "given more than once; the first one counts")


def _hints(person: RawPerson) -> tuple[str, ...]:
    """Records that a note says are of the same person: a local hint for finding duplicates, never kin."""
    links = {note.get("linked_person_record_id", "") for note in person.notes}
    return tuple(sorted(links - {""}))


def _time(text: str | None) -> datetime | None:
    """A PFIF time (RFC 3339, UTC), None when it is missing or none."""
    if text is None:
        return None
    try:
        return datetime.strptime(text[:19] + "Z", "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
