"""The fast writer of grant cores gives the schema's own bytes, or refuses as the schema does."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_keys.core_writer import CoreWriter, write_part
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import b64u
from exchange_schemas.envelope import NO_PREVIOUS, GrantCore, PartRef, TreeHead
from exchange_schemas.errors import ExchangeError, Malformed
from exchange_schemas.ids import PartId
from exchange_schemas.limits import LIMITS
from tests.unit.keys.keys_factory import NOW, a_digest, an_id

CATALOGUE = load_catalogue()
IDS = st.binary(min_size=16, max_size=16).map(b64u)
DIGESTS = st.binary(min_size=32, max_size=32).map(b64u)
AGENCIES = st.from_regex(r"[a-z][a-z0-9-]{2,39}", fullmatch=True)
TIMES = st.integers(0, 10**9).map(lambda seconds: NOW + timedelta(seconds=seconds))
FIELDS = sorted({*CATALOGUE.fields, *CATALOGUE.message_fields})


@st.composite
def cores(draw: st.DrawFn) -> dict[str, Any]:
    """Members of a core, mostly valid."""
    names = draw(st.lists(st.sampled_from(FIELDS), max_size=8, unique=draw(st.booleans())))
    refs = tuple(
        PartRef(p=PartId(draw(IDS)), f=name, len=draw(st.integers(1, 10_000)), sha256=a_digest(name))
        for name in names
    )
    seq = draw(st.integers(0, 3))
    with_consent = draw(st.booleans())
    return {
        "origin": draw(st.sampled_from(["test.example", "exchange.example/audit", "Bad Origin"])),
        "eid": draw(IDS),
        "gid": draw(IDS),
        "kind": draw(st.sampled_from([*CATALOGUE.kinds, "gossip"])),
        "thread": draw(IDS),
        "snd": draw(AGENCIES),
        "rcp": draw(AGENCIES),
        "rcp_kid": draw(DIGESTS),
        "sch": CATALOGUE.version,
        "pur": draw(st.sampled_from(CATALOGUE.purposes)),
        "iat": NOW,
        "exp": draw(TIMES),
        "seq": seq,
        "prev": NO_PREVIOUS if seq == 1 else draw(DIGESTS),
        "dir": TreeHead(size=draw(st.integers(0, 10**6)), root=a_digest("root")),
        "parts": refs,
        "cns": draw(DIGESTS) if with_consent else None,
        "subj": draw(DIGESTS) if with_consent else None,
        "reply_by": draw(st.none() | TIMES),
        "in_reply_to": draw(st.none() | IDS),
        "supersedes": draw(st.none() | IDS),
    }


OWN = ("gid", "thread", "rcp", "rcp_kid", "cns", "subj", "exp", "seq", "prev")


def written(members: dict[str, Any]) -> bytes:
    common = {name: value for name, value in members.items() if name not in (*OWN, "parts")}
    own = {name: members[name] for name in OWN}
    return CoreWriter(common).write(own, [write_part(ref) for ref in members["parts"]])


@settings(deadline=None, max_examples=150)
@given(cores())
def test_the_fast_writer_writes_or_refuses_exactly_as_the_schema(members: dict[str, Any]) -> None:
    try:
        expected = GrantCore(**members).to_bytes()
    except ExchangeError as error:
        with pytest.raises(type(error)):
            written(members)
    else:
        assert written(members) == expected


def valid(**changes: Any) -> dict[str, Any]:
    ref = PartRef(p=PartId(an_id("part")), f="sex", len=328, sha256=a_digest("part"))
    members: dict[str, Any] = {
        "origin": "test.example",
        "eid": an_id("e"),
        "gid": an_id("g"),
        "kind": "found_notice",
        "thread": an_id("t"),
        "snd": "agency-a",
        "rcp": "agency-b",
        "rcp_kid": a_digest("kid"),
        "sch": CATALOGUE.version,
        "pur": "trace",
        "iat": NOW,
        "exp": NOW + timedelta(days=1),
        "seq": 1,
        "prev": NO_PREVIOUS,
        "dir": TreeHead(size=1, root=a_digest("root")),
        "parts": (ref,),
        "cns": a_digest("consent"),
        "subj": a_digest("subject"),
    }
    return {**members, **changes}


def test_a_valid_core_is_written_as_the_schema_writes_it() -> None:
    assert written(valid()) == GrantCore(**valid()).to_bytes()


def test_a_core_over_its_limit_is_malformed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GrantCore, "LIMIT", len(written(valid())))
    written(valid())
    monkeypatch.setattr(GrantCore, "LIMIT", len(written(valid())) - 1)
    with pytest.raises(Malformed, match="longer"):
        written(valid())
    assert LIMITS.grant_core_bytes == 16 * 1024
