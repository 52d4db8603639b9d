"""Record and message values: what the catalogue allows passes, fits its bucket, and reads back the same."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_schemas import message, record
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import encode
from exchange_schemas.errors import FieldDenied, Malformed
from exchange_schemas.message import message_schema, validate_content
from exchange_schemas.record import record_schema, validate_field, validate_record
from tests.unit.schemas.values import FOUR_BYTES, largest, legal

CATALOGUE = load_catalogue()
SEALED = [spec for spec in CATALOGUE.fields.values() if spec.bucket is not None]
ALL = [(record, spec) for spec in SEALED] + [(message, spec) for spec in CATALOGUE.message_fields.values()]
BOTH = pytest.mark.parametrize(("module", "spec"), ALL, ids=[spec.name for _module, spec in ALL])
DAY = "2024-05-01"


@BOTH
def test_the_largest_legal_value_fits_its_bucket_with_a_byte_for_the_padding(module, spec):
    value = largest(spec.type)
    data = module.encode_field(spec.name, value)
    assert len(data) <= spec.bucket - 1
    assert module.decode_field(spec.name, data) == value


@settings(max_examples=200)
@given(chosen=st.sampled_from(ALL), data=st.data())
def test_any_legal_value_reads_back_the_same(chosen, data):
    module, spec = chosen
    value = data.draw(legal(spec.type))
    assert module.decode_field(spec.name, module.encode_field(spec.name, value)) == value
    assert module.validate_field(spec.name, value) == value


@BOTH
def test_a_value_of_another_shape_is_refused(module, spec):
    for value in (None, 1.5, -1, "", [], {}, [[]], [None], {"v": 1}, True, "\x00", {"": ""}):
        with pytest.raises(Malformed) as caught:
            module.validate_field(spec.name, value)
        assert caught.value.field.split(".")[0] == spec.name
        assert caught.value.rule is not None


@settings(max_examples=200)
@given(chosen=st.sampled_from(ALL), data=st.data())
def test_marshmallow_agrees_with_the_strict_reader(chosen, data):
    module, spec = chosen
    schema = (record_schema() if module is record else message_schema())(only=[spec.name])
    junk = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just({}) | st.just([])
    value = data.draw(legal(spec.type) | junk)
    errors = schema.validate({spec.name: value})
    try:
        module.validate_field(spec.name, value)
    except Malformed:
        assert errors
    else:
        assert not errors
        assert schema.dump(schema.load({spec.name: value})) == {spec.name: value}


def test_the_photo_is_described_in_the_record_and_sealed_as_a_file():
    photo = {
        "media_type": "image/jpeg",
        "width": 640,
        "height": 480,
        "bytes": 100_000,
        "sha256": "A" * 43,
        "taken_on": "2024-05",
    }
    assert validate_field("photo", photo) == photo
    for call in (lambda: record.encode_field("photo", photo), lambda: record.decode_field("photo", b"{}")):
        with pytest.raises(Malformed):
            call()
    for change in ({"media_type": "image/png"}, {"width": 0}, {"sha256": "A"}, {"exif": "x"}):
        with pytest.raises(Malformed):
            validate_field("photo", photo | change)


def test_a_record_is_a_flat_object_of_known_fields():
    value = {"name_given": {"text": "Амина", "script": "Cyrl"}, "sex": "female", "languages": ["ru", "ce"]}
    assert validate_record(value) == value
    assert validate_record({}) == {}


@pytest.mark.parametrize(
    "call", [validate_field, record.encode_field, message.validate_field, message.encode_field]
)
def test_an_unknown_field_is_refused_and_not_echoed(call):
    with pytest.raises(Malformed) as caught:
        call("shoe_size", "Amina")
    assert "shoe_size" not in str(caught.value)
    assert "Amina" not in str(caught.value)


def test_a_record_with_an_unknown_field_is_refused():
    with pytest.raises(Malformed):
        validate_record({"sex": "female", "religion": "x"})


@pytest.mark.parametrize("name", ["birth_date", "separation_date"])
@pytest.mark.parametrize("value", ["2024", "2024-02", "2024-02-29", "0001"])
def test_partial_dates(name, value):
    assert validate_field(name, value) == value


@pytest.mark.parametrize(
    "value",
    [
        "2023-02-29",
        "2024-13",
        "2024-00",
        "2024-1-1",
        "24",
        "0000",
        "2024-",
        "2024/01/01",
        "20240101",
        "2024-W01",
        "２０24",
    ],
)
def test_a_date_must_be_real(value):
    with pytest.raises(Malformed):
        validate_field("birth_date", value)


def test_a_whole_date_is_needed_where_the_type_says_so():
    assert message.validate_field("due_date", DAY) == DAY
    with pytest.raises(Malformed):
        message.validate_field("due_date", "2024-05")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a" * 201, "length"),
        ("", "length"),
        ("   ", "blank"),
        ("a\nb", "characters"),
        ("a\tb", "characters"),
        ("a\x7fb", "characters"),
        ("a\x9bb", "characters"),
        ("a\u2028b", "characters"),
        ("a\u202eb", "characters"),
        ("a\u202ab", "characters"),
        ("a\u2066b", "characters"),
        ("a\u2069b", "characters"),
        ("a\ud800b", "characters"),
        ("e\u0301", "nfc"),
    ],
)
def test_a_text_holds_nothing_that_deceives(text, rule):
    with pytest.raises(Malformed) as caught:
        validate_field("found_with", text)
    assert (caught.value.field, caught.value.rule) == ("found_with", rule)


@pytest.mark.parametrize("text", ["é", "أمينة", "می‌خواهم", 'O\'Neill "x" \\', "名", FOUR_BYTES * 200])
def test_a_text_in_any_script_passes(text):
    assert validate_field("found_with", text) == text


def test_bytes_of_a_text_count_escapes():
    assert validate_field("home_area", {"country": "IQ", "area": "a" * 60})
    assert validate_field("home_area", {"country": "IQ", "area": FOUR_BYTES * 35})
    for area in (FOUR_BYTES * 36, FOUR_BYTES * 30 + '"' * 11, "a" * 61):
        with pytest.raises(Malformed) as caught:
            validate_field("home_area", {"country": "IQ", "area": area})
        assert (caught.value.field, caught.value.rule) == ("home_area.area", "length")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("age_range", {"min": 5, "max": 4, "as_of": DAY}),
        ("age_range", {"min": 5, "max": 26, "as_of": DAY}),
        ("age_range", {"min": True, "max": 4, "as_of": DAY}),
        ("age_range", {"min": 3, "max": 4}),
        ("build", {"as_of": DAY}),
        ("build", {"as_of": DAY, "height_cm": 29}),
        ("child_wishes", {}),
        ("urgent_flags", ["none_known", "medical_now"]),
        ("urgent_flags", ["medical_now", "medical_now"]),
        ("claimant_evidence", ["none", "photos"]),
        ("health_need_codes", []),
        ("languages", ["ar", "ar"]),
        ("languages", ["ar", "ku", "fa", "tr", "ru", "en"]),
        ("languages", ["Arabic"]),
        ("name_lineage", [{"of": "father", "text": "a"}, {"of": "father", "text": "b"}]),
        ("nationality_claim", [{"country": "IQ", "basis": "mother"}, {"country": "IQ", "basis": "mother"}]),
        (
            "kin_refs",
            [{"child_ref": "A" * 22, "relation": "sister"}, {"child_ref": "A" * 22, "relation": "brother"}],
        ),
        ("relatives", [{"relation": "father", "name": "x", "living": "unknown"}] * 13),
        ("relatives", [{"relation": "parent", "name": "x", "living": "unknown"}]),
        ("relatives", [{"relation": "father", "name": "x", "living": "unknown", "phone": "1"}]),
        ("relative_contact", "0791234567"),
        ("relative_contact", "+0791234567"),
        ("relative_contact", "a@b"),
        ("relative_contact", "a b@c.example"),
        ("relative_contact", "a" * 65 + "@c.example"),
        ("relative_contact", "+962791234567\n"),
        ("last_seen", {"date": "2024", "text": "x", "source": "media"}),
        ("current_area", {"area": "Baghdad"}),
        ("current_area", {"country": "IQ", "text": "street"}),
        ("current_area", {"country": "iq"}),
        ("documents_held", [{"kind": "passport", "country": "IQ", "status": "held", "last_4": "12345"}]),
        (
            "best_interests_decision",
            {
                "procedure": "bid",
                "date": "2024-05-02",
                "body": "x",
                "outcome": "against",
                "valid_until": "2024-05-01",
                "document_digest": "A" * 43,
            },
        ),
    ],
)
def test_a_record_value_outside_its_limits_is_refused(name, value):
    with pytest.raises(Malformed):
        validate_field(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("deletion_outcome", {"outcome": "kept_by_law"}),
        ("deletion_outcome", {"outcome": "kept_by_law", "law": "x"}),
        ("deletion_outcome", {"outcome": "deleted", "law": "x", "until": DAY}),
        ("asked_fields", ["sex", "sex"]),
        ("asked_fields", ["need_code"]),
        ("asked_fields", []),
        ("refusals", [{"field": "sex", "code": "law"}, {"field": "sex", "code": "safety"}]),
        ("comparison", [{"field": "sex", "result": "maybe"}]),
        ("on_behalf_of", "Embassy"),
    ],
)
def test_a_message_value_outside_its_limits_is_refused(name, value):
    with pytest.raises(Malformed):
        message.validate_field(name, value)


def test_a_field_of_a_record_is_no_message_field():
    with pytest.raises(Malformed) as caught:
        message.validate_field("sex", "female")
    assert caught.value.rule == "unknown"


def test_a_law_that_keeps_is_named_with_its_end():
    for value in ({"outcome": "deleted"}, {"outcome": "kept_by_law", "law": "Act 7", "until": DAY}):
        assert message.validate_field("deletion_outcome", value) == value


@pytest.mark.parametrize(
    "data",
    [
        b'{"v":"female","w":1}',
        b'{"w":"female"}',
        b"{}",
        b'"female"',
        b'{"v":"other"}',
        b'{"v":"female"}' + b" " * 300,
        b"\x80",
    ],
)
def test_a_plaintext_is_one_value_and_nothing_else(data):
    with pytest.raises(Malformed):
        record.decode_field("sex", data)


def test_a_value_that_does_not_fit_its_bucket_is_not_written(monkeypatch):
    small = type(record._sealed("sex"))("sex", record._member("sex"), 14)
    with pytest.raises(Malformed):
        small.encode("female")
    assert encode({"v": "female"}) == b'{"v":"female"}'


def test_the_content_of_a_message_fits_its_kind_and_its_fields():
    good = {
        "sex": "female",
        "age_range": {"min": 3, "max": 4, "as_of": DAY},
        "service_code": "legal",
        "urgency": "days",
        "contact_point": "desk@ngo.example",
    }
    validate_content("service_referral", good)
    for change in ({"urgency": "soon"}, {"sex": "x"}):
        with pytest.raises(Malformed):
            validate_content("service_referral", good | change)
    with pytest.raises(FieldDenied):
        validate_content("service_referral", good | {"marks": []})
    with pytest.raises(Malformed):
        validate_content("rumour", good)


@given(st.text(min_size=3, max_size=40))
def test_errors_never_hold_the_value(text):
    secret = "Amina" + text
    for name in ("found_with", "sex", "birth_date", "relative_contact", "name_given", "relatives"):
        for value in (secret, [secret], {"text": secret, secret: 1}, [{"name": secret, "relation": secret}]):
            try:
                validate_field(name, value)
            except Malformed as error:
                assert "Amina" not in json.dumps([str(error), error.field, error.rule, error.hint])  # noqa: PT017
