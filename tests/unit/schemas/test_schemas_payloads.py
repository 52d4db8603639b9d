"""Every payload object: it reads what it writes, exactly; whatever is bent is refused with our errors."""

import json
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import fields

from exchange_schemas.codec import encode
from exchange_schemas.envelope import GrantCoreSchema
from exchange_schemas.errors import Malformed, ProtocolError, VersionUnsupported
from exchange_schemas.event import EVENTS, read_event
from exchange_schemas.members import Member, Whole
from exchange_schemas.payload import StrictSchema, members_of
from exchange_schemas.tombstone import Tombstone
from tests.unit.schemas.examples import entry, jws, signed_payloads, some_digest

TOMBSTONE = Tombstone(seq=3, digest=some_digest(), reason="CONSENT_WITHDRAWN", withdrawal=jws())
ALL = [*signed_payloads(), entry(), TOMBSTONE]
IDS = [getattr(value, "event", type(value).__name__) for value in ALL]
EACH = pytest.mark.parametrize("value", ALL, ids=IDS)
SIGNED = pytest.mark.parametrize("value", signed_payloads(), ids=IDS[: len(signed_payloads())])
JUNK = [None, True, -1, 1.0, "", " ", "x" * 70_000, [], {}, [[]], [None], {"a": 1}, "\u202e", "A" * 22]


def members(value):
    return json.loads(value.to_bytes())


def read(value, changed):
    return type(value).from_bytes(json.dumps(changed).encode())


@EACH
def test_it_reads_what_it_writes(value):
    data = value.to_bytes()
    assert type(value).from_bytes(data) == value
    assert type(value).from_bytes(data).to_bytes() == data


@EACH
def test_it_reads_any_order_of_members(value):
    assert read(value, dict(reversed(members(value).items()))) == value


@EACH
def test_it_cannot_be_changed(value):
    name = next(iter(members_of(value.SCHEMA)))
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        setattr(value, name, "x")


@EACH
def test_an_unknown_member_is_refused_and_not_echoed(value):
    with pytest.raises(Malformed) as caught:
        read(value, members(value) | {"Amina": 1})
    assert "Amina" not in str(caught.value)


@EACH
def test_a_missing_member_is_refused_unless_it_is_optional(value):
    for name in members(value):
        changed = members(value)
        del changed[name]
        if members_of(value.SCHEMA)[name].required:
            with pytest.raises(Malformed):
                read(value, changed)


@EACH
def test_a_member_of_another_shape_is_refused_by_reader_and_marshmallow_alike(value):
    schema = value.SCHEMA()
    for name in members(value):
        for junk in JUNK:
            changed = members(value) | {name: junk}
            refused = bool(schema.validate(changed)) or isinstance(junk, float)
            try:
                read(value, changed)
            except ProtocolError:
                # Optional members refer to one another, so marshmallow sees the same.
                assert refused or name == "sch", (name, junk)
            else:
                assert not refused, (name, junk)


@EACH
def test_marshmallow_loads_and_dumps_the_same_members(value):
    schema = value.SCHEMA()
    assert schema.dump(schema.load(members(value))) == members(value)
    assert schema.validate(members(value) | {"extra": 1})
    assert schema.validate({})


@EACH
def test_what_it_would_not_read_it_does_not_write(value):
    from dataclasses import replace

    for name in ("origin", "log", "digest"):
        if hasattr(value, name):
            with pytest.raises(Malformed):
                replace(value, **{name: "Not a Name"}).to_bytes()


@EACH
def test_an_over_long_input_is_refused(value):
    with pytest.raises(Malformed):
        type(value).from_bytes(value.to_bytes() + b" " * type(value).LIMIT)


@EACH
@settings(max_examples=60)
@given(st.data())
def test_a_changed_byte_is_read_as_another_value_or_refused(value, data):
    raw = bytearray(value.to_bytes())
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= data.draw(st.integers(1, 255))
    try:
        changed = type(value).from_bytes(bytes(raw))
    except ProtocolError:
        return
    assert changed != value


@given(st.sampled_from(ALL), st.binary(max_size=80))
def test_any_bytes_are_refused_with_our_error(value, data):
    with pytest.raises(ProtocolError):
        type(value).from_bytes(data)


@SIGNED
def test_another_version_is_named_before_anything_else_is_judged(value):
    with pytest.raises(VersionUnsupported):
        read(value, {"v": 2, "typ": value.typ, "new": []})


@SIGNED
@pytest.mark.parametrize("version", ["1", None, True, [], 1.0])
def test_a_version_that_is_no_number_is_malformed(value, version):
    with pytest.raises(Malformed):
        read(value, members(value) | {"v": version})


@SIGNED
def test_another_type_is_malformed_whatever_its_version(value):
    for typ in ("hx-other", None, 1):
        with pytest.raises(Malformed):
            read(value, members(value) | {"typ": typ, "v": 2})


def test_an_entry_of_another_version_is_not_judged():
    with pytest.raises(VersionUnsupported):
        read(entry(), {"v": 2})


def test_an_event_is_read_as_what_it_says_it_is():
    for value in signed_payloads():
        if hasattr(value, "event"):
            assert read_event(value.to_bytes()) == value
            assert EVENTS[value.event] is type(value)


@pytest.mark.parametrize("name", ["rumour", None, 1, []])
def test_an_unknown_event_is_refused(name):
    event = members(next(value for value in signed_payloads() if hasattr(value, "event")))
    with pytest.raises(Malformed):
        read_event(encode(event | {"event": name}))


def test_an_event_is_not_read_as_another_one():
    suspend, expel = (
        value for value in signed_payloads() if getattr(value, "event", "") in {"suspend", "expel"}
    )
    with pytest.raises(Malformed):
        type(suspend).from_bytes(expel.to_bytes())


def test_a_tombstone_is_a_member_of_a_problem_document_too():
    assert Tombstone.from_json(TOMBSTONE.to_json()) == TOMBSTONE
    for value in (None, [], "x", {"seq": 0}):
        with pytest.raises(Malformed) as caught:
            Tombstone.from_json(value)
        assert caught.value.field.startswith("tombstone")


def test_an_optional_member_is_left_out_and_never_null():
    from dataclasses import replace

    bare = replace(TOMBSTONE, withdrawal=None)
    assert "withdrawal" not in members(bare)
    assert type(bare).from_bytes(bare.to_bytes()) == bare


def test_a_schema_of_anything_but_strict_members_is_a_mistake_that_shows():
    class Lax(StrictSchema):
        name = fields.String()

    with pytest.raises(TypeError):
        members_of(Lax)


def test_a_member_without_a_rule_cannot_be_read():
    with pytest.raises(NotImplementedError):
        Member().read(1, "x")


def test_an_absent_member_is_dumped_as_none():
    assert Whole(0, 1).serialize("n", {"n": None}) is None


def test_errors_name_the_path_of_the_member():
    core = members(ALL[0])
    core["parts"][1]["sha256"] = "x"
    with pytest.raises(Malformed) as caught:
        read(ALL[0], core)
    assert caught.value.field == "parts.sha256"
    core["parts"] = [1]
    with pytest.raises(Malformed) as caught:
        read(ALL[0], core)
    assert caught.value.field == "parts"
    assert GrantCoreSchema().validate(core)
