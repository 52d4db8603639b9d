"""The audit entry: one spelling for every entry, and the fast check agrees with the slow one."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_schemas.codec import b64u, encode
from exchange_schemas.entry import MAX_TS_US, OUTCOMES, Act, Entry, check_canonical, parties_spelled
from exchange_schemas.errors import EntryInvalid, Malformed, ProtocolError
from exchange_schemas.limits import LIMITS
from tests.unit.schemas.examples import entry, some_digest, some_id

LOG = "exchange.example/audit"
NAMES = st.sampled_from(["sex", "age_range", "name_given", "a1", "k" * 40])
AGENCIES = st.sampled_from(["ngo-one", "ngo", "n0-", "commission", "a" * 40])
DIGESTS = st.binary(min_size=32, max_size=32).map(b64u)


def optional(strategy):
    return st.none() | strategy


@st.composite
def entries(draw):
    out = draw(st.sampled_from(OUTCOMES))
    org = draw(optional(AGENCIES))
    own = draw(st.sets(AGENCIES, max_size=4)) | ({org} if org is not None else set())
    return Entry(
        log=LOG,
        id=draw(st.binary(min_size=16, max_size=16).map(b64u)),
        ts=draw(st.integers(0, MAX_TS_US)),
        act=draw(st.sampled_from(list(Act))),
        out=out,
        own=tuple(sorted(own)),
        fld=tuple(sorted(draw(st.sets(NAMES, max_size=5)))),
        rsn=None if out == "allow" else draw(st.sampled_from(["MALFORMED", "CONSENT_EXPIRED"])),
        org=org,
        knd=draw(optional(NAMES)),
        pur=draw(optional(NAMES)),
        cns=draw(optional(DIGESTS)),
        rec=draw(optional(DIGESTS)),
        req=draw(optional(DIGESTS)),
        pol=draw(optional(st.sampled_from(["C07-standing", "a.b:c@d/e"]))),
        opr=draw(optional(st.sampled_from(["op-1", "Operator_2"]))),
    )


@settings(max_examples=60)
@given(entries())
def test_every_entry_reads_back_and_is_canonical(value):
    data = value.to_bytes()
    assert Entry.from_bytes(data) == value
    check_canonical(data, log=LOG)
    assert data.isascii()


def verdicts(data: bytes) -> tuple[bool, bool]:
    """(the slow way: read, canonical, of this log; the fast way)."""
    try:
        value = Entry.from_bytes(data)
        slow = value.to_bytes() == data and value.log == LOG
    except ProtocolError:
        slow = False
    try:
        check_canonical(data, log=LOG)
    except EntryInvalid:
        return slow, False
    return slow, True


@settings(max_examples=250)
@given(entries(), st.data())
def test_the_fast_check_agrees_with_the_slow_one_on_any_change(value, data):
    raw = bytearray(value.to_bytes())
    start = data.draw(st.integers(0, len(raw) - 1))
    length = data.draw(st.integers(0, 3))
    raw[start : start + length] = data.draw(
        st.sampled_from([b"", b'"', b",", b"a", b"0", b"Z", b"\xff", b" ", b"]"])
    )
    slow, fast = verdicts(bytes(raw))
    assert slow is fast


@settings(max_examples=150)
@given(entries(), st.data())
def test_the_fast_check_agrees_with_the_slow_one_on_any_member(value, data):
    members = json.loads(value.to_bytes())
    name = data.draw(st.sampled_from(sorted(members)))
    junk = data.draw(
        st.sampled_from([None, 0, 1, -1, 2**53, "", "x", "xy", [], ["b1b", "a1a"], ["a1a", "a1a"], {}, True])
    )
    try:
        raw = encode(members | {name: junk})
    except Malformed:
        raw = json.dumps(members | {name: junk}, sort_keys=True, separators=(",", ":")).encode()
    slow, fast = verdicts(raw)
    assert slow is fast


@pytest.mark.parametrize(
    "change",
    [
        {"log": "other.example/audit"},
        {"own": ("ngo-one", "commission")},
        {"own": ("ngo-one", "ngo-one")},
        {"own": ("commission",)},
        {"own": ()},
        {"fld": ("sex", "age_range")},
        {"rsn": None},
        {"out": "allow"},
        {"out": "perhaps"},
        {"ts": MAX_TS_US + 1},
        {"ts": -1},
        {"act": "grant:steal"},
        {"v": 0},
        {"v": 2},
    ],
)
def test_an_entry_that_breaks_a_rule_is_refused_both_ways(change):
    good = json.loads(entry().to_bytes())
    bad = {name: item for name, item in (good | change).items() if item is not None}
    raw = json.dumps(bad, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(EntryInvalid):
        check_canonical(raw, log=LOG)
    if "log" not in change:
        with pytest.raises(ProtocolError):
            Entry.from_bytes(raw)


def test_another_spelling_of_the_same_entry_is_not_canonical():
    good = entry().to_bytes()
    members = json.loads(good)
    for raw in (
        good + b"\n",
        json.dumps(members, sort_keys=True).encode(),
        json.dumps(dict(reversed(members.items())), separators=(",", ":")).encode(),
        good.replace(b"ngo-one", b"\\u006ego-one"),
    ):
        with pytest.raises(EntryInvalid):
            check_canonical(raw, log=LOG)
        if raw != good.replace(b"ngo-one", b"\\u006ego-one"):
            assert Entry.from_bytes(raw) == entry()


def test_parties_are_right_however_many_were_read_before():
    for number in range(40_000):
        name = b"agency-%d" % (number % 17_000)
        spelled = b',"org":"%s","out":"allow","own":["%s","zone"]' % (name, name)
        assert parties_spelled(spelled) == (name.decode(), "zone")
    assert parties_spelled(b',"out":"allow","own":[]') == ()
    assert parties_spelled(b',"org":"zone-two","out":"allow","own":["agency-1","zone"]') is None
    assert parties_spelled(b',"org":"zone","out":"allow","own":["zone","agency-1"]') is None


def test_an_over_long_entry_is_refused():
    with pytest.raises(EntryInvalid):
        check_canonical(b" " * (LIMITS.entry_bytes + 1), log=LOG)


def test_the_largest_entry_is_within_its_limit():
    own = tuple(sorted(f"agency-{n:02}".ljust(40, "x") for n in range(LIMITS.parties_per_entry)))
    fld = tuple(sorted(f"field_{n:03}".ljust(40, "x") for n in range(LIMITS.fields_per_entry)))
    value = entry(own=own, org=own[0], fld=fld, pol="p" * 80, opr="o" * 80, knd="k" * 40, pur="u" * 40)
    check_canonical(value.to_bytes(), log=LOG)


def test_acts_are_noun_verb_unique_and_named_alike():
    assert len({act.value for act in Act}) == len(list(Act.__members__))
    for name, act in Act.__members__.items():
        assert re.fullmatch("[a-z]+:[a-z]+", act.value)
        assert act.value.replace(":", "_").upper() == name


def test_an_entry_without_anybody_or_anything_is_small_and_complete():
    value = Entry(log=LOG, id=some_id(), ts=0, act=Act.HUB_INIT, out="allow", opr="op-1")
    assert sorted(json.loads(value.to_bytes())) == ["act", "fld", "id", "log", "opr", "out", "own", "ts", "v"]
    assert Entry.from_bytes(value.to_bytes()) == value
    assert some_digest()
