"""Primero v2 cases mapped to the catalogue, with the import rules of that format.

Rules, each with a permanent tag:
  primero-adult         the youngest possible age at registration is 18 or more: refused
  primero-no-disclosure disclosure to other organisations is not allowed: nothing may be sent
  primero-withheld      a reason to withhold is given: nothing may be sent
Flags: only a plain `true` is a yes; null, text and a missing flag are a no; a contradiction takes the
stricter. Consent to tracing allows trace and verify; consent to services allows health and care.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path

from exchange.agency.imports import primero_codes as codes
from exchange.agency.imports.ages import (
    MAJORITY_YEARS,
    AgeRange,
    latest_day,
    parse_partial_date,
    youngest_age,
)
from exchange.agency.imports.geography import country_code, language_code
from exchange.agency.imports.mapping import Collector, clean, name_value, other_names
from exchange.agency.imports.model import Imported, Refused, ReleaseFlags
from exchange.agency.imports.primero_json import Place, Value, load_locations, load_rows
from exchange_schemas.codec import JsonValue

Row = Mapping[str, Value]
SOURCE = "primero-2"


def read_locations(path: Path) -> dict[str, Place]:
    """The location list by code. Raises: ImportUnreadable."""
    return load_locations(path)


def read(path: Path, *, now: datetime, locations: Mapping[str, Place]) -> Iterator[Imported | Refused]:
    """Yield every case of a case list, mapped or refused. Raises: ImportUnreadable."""
    for position, row in enumerate(load_rows(path, what="case list"), start=1):
        yield _import(row, position, now, locations)


def _import(row: Row, position: int, now: datetime, locations: Mapping[str, Place]) -> Imported | Refused:
    birth = parse_partial_date(_text(row, "date_of_birth") or "")
    age = _age(row)
    registered = _day(row, "registration_date") or now.date()
    estimated = row.get("estimated") is True
    then = youngest_age(None if estimated and age is not None else birth, age, registered, registered)
    if then is not None and then >= MAJORITY_YEARS:
        field = "age" if age is not None else "date_of_birth"
        return Refused(
            position,
            SOURCE,
            field,
            "primero-adult",
            f"at registration the person was {MAJORITY_YEARS} or older",
        )
    today = youngest_age(birth, age, registered, now.date())
    collector = Collector()
    _map_person(row, collector)
    _map_age(row, birth, age, registered, collector)
    _map_places(row, locations, collector)
    _map_care(row, collector)
    _map_relatives(row, collector)
    _leave_rest(row, collector)
    return Imported(
        position=position,
        source=SOURCE,
        source_id=_text(row, "id") or _text(row, "case_id_display") or "",
        fields=collector.fields,
        flags=release_flags(row),
        left_out=collector.left_out,
        to_transcribe=tuple(collector.to_transcribe),
        same_person_hints=(),
        adult_now=today is not None and today >= MAJORITY_YEARS,
        age_known=today is not None,
    )


def release_flags(row: Row) -> ReleaseFlags:
    """What the case's consent flags allow, by the rules above."""
    purposes: tuple[str, ...] = ()
    if row.get("consent_for_tracing") is True:
        purposes += ("trace", "verify")
    if row.get("consent_for_services") is True:
        purposes += ("health", "care")
    withheld = None
    if row.get("withholding_info_reason") not in (None, [], ""):
        withheld = "primero-withheld"
    elif row.get("disclosure_other_orgs") is not True:
        withheld = "primero-no-disclosure"
    return ReleaseFlags(purposes=purposes if withheld is None else (), needs_basis=False, withheld=withheld)


def _map_person(row: Row, collector: Collector) -> None:
    known = []
    for source, name in (("name_first", "name_given"), ("name_last", "name_family")):
        text = _text(row, source)
        if text is not None and collector.take(name, name_value(text), source=source):
            known.append(text)
    middle = _text(row, "name_middle")
    if middle is not None:
        collector.take("name_lineage", [{"of": "father", "text": clean(middle)}], source="name_middle")
    full = [_text(row, source) or "" for source in ("name_nickname", "name_other", "name")]
    names = other_names(
        full, known=[*known, " ".join(known), " ".join([*known[:1], middle or "", *known[1:]])]
    )
    if names:
        collector.take("names_other", names, source="name_nickname, name_other, name")
    given_later = row.get("name_given_post_separation")
    if isinstance(given_later, bool):
        collector.take(
            "name_given_after_separation", "yes" if given_later else "no", source="name_given_post_separation"
        )
    sex = _text(row, "sex")
    if sex is not None:
        collector.take("sex", sex if sex in ("female", "male") else "unknown", source="sex")
    _map_codes(row, "language", "languages", language_code, collector)
    claims: list[JsonValue] = []
    for text in _texts(row, "nationality"):
        country = country_code(text)
        if country is None:
            collector.leave_out("nationality", "not a country of ISO 3166-1")
        elif {"country": country, "basis": "stated"} not in claims:
            claims.append({"country": country, "basis": "stated"})
    if claims:
        collector.take("nationality_claim", claims[:4], source="nationality")


def _map_age(
    row: Row, birth: str | None, age: AgeRange | None, registered: date, collector: Collector
) -> None:
    if birth is None and row.get("date_of_birth") is not None:
        collector.leave_out("date_of_birth", "not a date")
    if birth is not None:
        if row.get("estimated") is True:
            birth = birth[:4]
            collector.leave_out("date_of_birth", "an estimate: only its year is kept")
        collector.take("birth_date", birth, source="date_of_birth")
    if age is not None:
        value: dict[str, JsonValue] = {
            "min": age.youngest,
            "max": min(age.oldest, 25),
            "as_of": registered.isoformat(),
        }
        collector.take("age_range", value, source="age")
    elif row.get("age") is not None:
        collector.leave_out("age", "not a whole number of years")


def _map_places(row: Row, locations: Mapping[str, Place], collector: Collector) -> None:
    separated = parse_partial_date(_text(row, "date_of_separation") or "")
    if separated is not None:
        collector.take("separation_date", separated, source="date_of_separation")
    elif row.get("date_of_separation") is not None:
        collector.leave_out("date_of_separation", "not a date")
    where = _text(row, "location_separation")
    if where is not None:
        collector.take("separation_place", _place(where, locations), source="location_separation")
    born = _text(row, "place_of_birth")
    if born is not None:
        collector.take("birth_place", {"text": clean(born)}, source="place_of_birth")
    current = _text(row, "location_current")
    if current is not None:
        place = locations.get(current)
        if place is None or place.country is None:
            collector.leave_out(
                "location_current", "its country is not known; give the location list with --locations"
            )
        else:
            coarse: dict[str, JsonValue] = {"country": place.country}
            if place.area is not None:
                coarse["area"] = clean(place.area)
            collector.take("current_area", coarse, source="location_current")
    if _text(row, "location_last") is not None:
        collector.leave_out("location_last", "it has no date; enter last_seen by hand")


def _place(code: str, locations: Mapping[str, Place]) -> dict[str, JsonValue]:
    place = locations.get(code)
    if place is None:
        return {"text": clean(code)}
    value: dict[str, JsonValue] = {"text": clean(place.name) or clean(code)}
    if place.country is not None:
        value["country"] = place.country
        if place.area is not None:
            value["area"] = clean(place.area)
    return value


def _map_care(row: Row, collector: Collector) -> None:
    for source, name in codes.TEXTS.items():
        text = _text(row, source)
        if text is not None:
            collector.take(name, clean(text), source=source)
    for source, (name, table) in codes.CODES.items():
        text = _text(row, source)
        if text is not None:
            code = table.get(text)
            if code is None:
                collector.leave_out(source, "its code has no counterpart in the exchange's list")
            else:
                collector.take(name, code, source=source)
    _map_codes(row, "disability_type", "health_need_codes", codes.DISABILITY.get, collector)


def _map_relatives(row: Row, collector: Collector) -> None:
    relatives: list[JsonValue] = []
    section = row.get("family_details_section")
    for item in section if isinstance(section, list) else ():
        if not isinstance(item, dict):
            continue
        name = item.get("relation_name")
        if not isinstance(name, str) or clean(name) == "":
            collector.leave_out("family_details_section", "a relative without a name")
            continue
        relation, living = item.get("relation"), item.get("relation_is_alive")
        relatives.append(
            {
                "relation": codes.RELATION.get(relation, "unknown")
                if isinstance(relation, str)
                else "unknown",
                "name": clean(name),
                "living": codes.LIVING.get(living, "unknown") if isinstance(living, str) else "unknown",
            }
        )
        telephone = item.get("relation_telephone")
        if isinstance(telephone, str) and "relative_contact" not in collector.fields:
            collector.take("relative_contact", telephone.replace(" ", ""), source="relation_telephone")
    if relatives:
        collector.take("relatives", relatives[:12], source="family_details_section")


def _map_codes(row: Row, source: str, name: str, find: codes.Find, collector: Collector) -> None:
    found: list[JsonValue] = []
    for text in _texts(row, source):
        code = find(text)
        if code is None:
            collector.leave_out(source, "a code has no counterpart in the exchange's list")
        elif code not in found:
            found.append(code)
    if found:
        collector.take(name, found, source=source)


def _leave_rest(row: Row, collector: Collector) -> None:
    unknown = 0
    for source, value in row.items():
        if value in (None, "", [], {}) or source in codes.MAPPED:
            continue
        why = codes.WHY_NOT.get(source)
        if why is None:
            unknown += 1
        else:
            collector.leave_out(source, why)
    if unknown:
        # A deployment's own field names can say much, so they are counted, not repeated.
        collector.leave_out("fields of this deployment", f"{unknown} of them, not part of the minimal record")


def _age(row: Row) -> AgeRange | None:
    """The stated age; an estimate is taken as one year younger to one year older."""
    age = row.get("age")
    if not isinstance(age, int) or isinstance(age, bool) or not 0 <= age <= 150:
        return None
    margin = 1 if row.get("estimated") is True else 0
    return AgeRange(max(0, age - margin), age + margin)


def _day(row: Row, source: str) -> date | None:
    partial = parse_partial_date(_text(row, source) or "")
    return None if partial is None else latest_day(partial)


def _text(row: Row, source: str) -> str | None:
    value = row.get(source)
    return value if isinstance(value, str) and value.strip() != "" else None


def _texts(row: Row, source: str) -> list[str]:
    value = row.get(source)
    if isinstance(value, str):
        return [value]
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
