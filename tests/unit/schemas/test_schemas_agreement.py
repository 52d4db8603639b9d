"""The file of sharing agreements: what ships keeps its promises, and a wrong file is refused by name."""

import tomllib
from itertools import product

import pytest

from exchange_schemas.agreement import default_file, read_agreements
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.errors import Malformed

CATALOGUE = load_catalogue()
SHIPPED = read_agreements(default_file())
ALLOWED = {
    pair: item.agreement for item in SHIPPED for pair in product(item.agreement.snd, item.agreement.rcp)
}
GOOD = """[[agreement]]
snd = ["ngo"]
rcp = ["court"]
pur = ["care"]
fields = ["sex", "age_range"]
why = "so"
"""


def test_nothing_ever_goes_to_an_auditor_or_from_embassy_to_embassy() -> None:
    assert not [pair for pair in ALLOWED if "auditor" in pair]
    assert ("embassy", "embassy") not in ALLOWED


def test_every_other_pair_of_kinds_is_spoken_of() -> None:
    kinds = set(CATALOGUE.agency_kinds) - {"auditor"}
    assert {(snd, rcp) for snd in kinds for rcp in kinds} - ALLOWED.keys() == {("embassy", "embassy")}


@pytest.mark.parametrize(
    ("field", "recipients"),
    [
        ("mhpss_level", {"psychosocial", "health"}),
        ("health_need_codes", {"health", "ngo", "un_agency"}),
        ("document_number", {"embassy", "authority"}),
        ("relatives", {"commission", "embassy", "ngo", "authority", "court", "un_agency"}),
    ],
)
def test_who_may_ever_receive_the_most_delicate_fields(field: str, recipients: set[str]) -> None:
    assert {rcp for (_, rcp), agreement in ALLOWED.items() if field in agreement.fields} == recipients


def test_a_psychosocial_ngo_receives_no_name_that_could_trace_anybody() -> None:
    given = set(ALLOWED["ngo", "psychosocial"].fields)
    assert given.isdisjoint(
        {"name_family", "relatives", "photo", "last_seen", "document_number", "birth_date"}
    )


def test_no_agreement_names_a_field_that_none_of_its_purposes_serves() -> None:
    for item in SHIPPED:
        for name in item.agreement.fields:
            assert CATALOGUE.fields[name].purposes.intersection(item.agreement.pur), (
                item.agreement.rcp,
                name,
            )


def test_the_order_inside_a_list_of_the_file_does_not_matter() -> None:
    (found,) = read_agreements(GOOD.encode())
    assert found.agreement.fields == ("age_range", "sex")
    assert found.why == "so"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[agreement", "not TOML"),
        ("\xff", "agreement"),
        ("", "[[agreement]]"),
        ("agreement = 7", "[[agreement]]"),
        ("agreement = [7]", "agreement 1"),
        (GOOD + "x = 1", "agreement 1"),
        (GOOD + 'version = "2"', "agreement 1"),
        (GOOD.replace('"ngo"', '"club"'), "agreement 1.snd"),
        (GOOD.replace('"care"', '"gossip"'), "agreement 1.pur"),
        (GOOD.replace('"sex"', '"shoe_size"'), "agreement 1.fields"),
        (GOOD.replace('"sex"', "7"), "agreement 1.fields"),
        (GOOD.replace('["court"]', '"court"'), "agreement 1.rcp"),
        (GOOD.replace('["court"]', "[]"), "agreement 1.rcp"),
        (GOOD.replace('why = "so"', ""), "agreement 1.why"),
        (GOOD.replace('"so"', f'"{"x" * 601}"'), "agreement 1.why"),
        (GOOD.replace('"so"', '"a\\nb"'), "agreement 1.why"),
        (GOOD + GOOD, "two agreements speak of ngo to court"),
        (GOOD + "#" * 300_000, "longer than"),
    ],
)
def test_a_wrong_file_is_refused_and_named(text: str, says: str) -> None:
    with pytest.raises(Malformed) as refused:
        read_agreements(text.encode("latin-1"))
    assert says in f"{refused.value} {refused.value.field}"


def test_the_shipped_file_is_read_as_toml_says() -> None:
    rows = tomllib.loads(default_file().decode())["agreement"]
    assert [set(row["fields"]) for row in rows] == [set(item.agreement.fields) for item in SHIPPED]
