"""What a core of a grant may not say, everything signed as it should be: each with its code.

One hub for all: each test has agencies of its own.
"""

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from exchange_keys.envelope import SealedEnvelope
from exchange_schemas.codec import format_time
from exchange_schemas.errors import (
    ConsentUnknown,
    ExchangeError,
    FieldDenied,
    GrantExpired,
    KeyWrongUse,
    KidUnknown,
    LogFork,
    Malformed,
    ManifestMismatch,
    OriginMismatch,
    PurposeDenied,
    RecipientDenied,
    SenderMismatch,
    SubjectMismatch,
    VersionUnsupported,
)
from exchange_schemas.ids import EnvelopeId, GrantId, new_id
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import GivenConsent, World
from tests.integration.messages.edits import edited
from tests.integration.messages.refusals import OTHER, refused

Edit = Callable[[World, dict[str, Any]], object]


@pytest.fixture
def world(shared: World) -> World:
    return shared


@pytest.fixture
def given(world: World, ngo: Agency, embassy: Agency) -> GivenConsent:
    return world.consent(ngo, embassy)


@pytest.fixture
def sealed(world: World, ngo: Agency, embassy: Agency, given: GivenConsent) -> SealedEnvelope:
    """A good envelope, not sent yet."""
    return world.seal(ngo, [world.recipient(ngo, embassy, given)])


def set_(name: str, value: Any) -> Edit:
    return lambda world, core: core.update({name: value(world) if callable(value) else value})


def enc_of(name: str) -> Callable[[World], str]:
    return lambda world: world.agencies[name].enc.public.kid


def envelope_of(name: str) -> Callable[[World], str]:
    return lambda world: world.agencies[name].envelope.public.kid


def agency(name: str) -> Callable[[World], str]:
    return lambda world: world.agencies[name].id


def later(delta: timedelta) -> Callable[[World], str]:
    return lambda world: format_time(world.now + delta)


def long_over(world: World, core: dict[str, Any]) -> None:
    core["iat"], core["exp"] = (format_time(world.now - timedelta(days=days)) for days in (2, 1))


def position(**changes: Any) -> Edit:
    return lambda world, core: core["dir"].update(changes)


def swap_two_parts(_world: World, core: dict[str, Any]) -> None:
    one, two = (ref for ref in core["parts"] if ref["f"] in ("sex", "age_range"))
    one["sha256"], two["sha256"] = two["sha256"], one["sha256"]


def longer_part(_world: World, core: dict[str, Any]) -> None:
    core["parts"][0]["len"] += 1


def other_part_id(_world: World, core: dict[str, Any]) -> None:
    ref = next(ref for ref in core["parts"] if ref["f"] == "sex")
    ref["p"] = new_id(os.urandom)


def without(field: str) -> Edit:
    return lambda world, core: core.update(parts=[ref for ref in core["parts"] if ref["f"] != field])


# What one recipient's core may not say, everything signed as it should be.
ONE_CORE: Sequence[tuple[str, Edit, type[ExchangeError]]] = [
    ("an unknown member", set_("extra", 1), Malformed),
    ("an unknown kind", set_("kind", "gossip"), Malformed),
    ("another catalogue", set_("sch", 99), VersionUnsupported),
    ("another typ", set_("typ", "hx-manifest"), Malformed),
    ("another deployment", set_("origin", "test.example"), OriginMismatch),
    ("another envelope", set_("eid", EnvelopeId("A" * 22)), ManifestMismatch),
    ("another sender", set_("snd", agency("commission")), SenderMismatch),
    ("another directory than the other grant", position(size=0), ManifestMismatch),
    ("a time in the future", set_("iat", later(timedelta(minutes=5))), Malformed),
    ("a time that is over", long_over, GrantExpired),
    ("a length that is not its bucket's", longer_part, Malformed),
    ("two parts swapped", swap_two_parts, ManifestMismatch),
    ("a part under another id", other_part_id, ManifestMismatch),
    ("fewer parts than sealed keys", without("sex"), Malformed),
    ("a key that nobody has", set_("rcp_kid", OTHER), KidUnknown),
    ("another agency's key", set_("rcp_kid", enc_of("commission")), KeyWrongUse),
    ("a key of another use", set_("rcp_kid", envelope_of("embassy")), KeyWrongUse),
    ("a recipient that was never admitted", set_("rcp", "nobody-at-all"), RecipientDenied),
    ("a consent that nobody gave", set_("cns", OTHER), ConsentUnknown),
    ("another child", set_("subj", OTHER), SubjectMismatch),
    ("a purpose outside the consent", set_("pur", "care"), PurposeDenied),
    ("a kind that needs other fields", set_("kind", "tracing_request"), FieldDenied),
    ("a kind that carries no field", set_("kind", "deletion_request"), FieldDenied),
]


@pytest.mark.parametrize(("edit", "error"), [c[1:] for c in ONE_CORE], ids=[c[0] for c in ONE_CORE])
def test_a_recipients_core_may_not_say(
    world: World,
    ngo: Agency,
    embassy: Agency,
    sealed: SealedEnvelope,
    edit: Edit,
    error: type[ExchangeError],
) -> None:
    body = edited(sealed, ngo, lambda core: edit(world, core), only=embassy)
    refused(world, ngo, body, error)


# What all cores of an envelope may not say.
ALL_CORES: Sequence[tuple[str, Edit, type[ExchangeError]]] = [
    ("another deployment", set_("origin", "test.example"), OriginMismatch),
    ("another root of the directory", position(root=OTHER), LogFork),
    ("a directory that is still to come", position(size=10**6), LogFork),
    ("one recipient twice", set_("rcp", agency("ngo")), ManifestMismatch),
    ("one grant id twice", set_("gid", GrantId("A" * 22)), ManifestMismatch),
]


@pytest.mark.parametrize(("edit", "error"), [c[1:] for c in ALL_CORES], ids=[c[0] for c in ALL_CORES])
def test_no_core_may_say(
    world: World, ngo: Agency, sealed: SealedEnvelope, edit: Edit, error: type[ExchangeError]
) -> None:
    refused(world, ngo, edited(sealed, ngo, lambda core: edit(world, core)), error)
