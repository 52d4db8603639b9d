"""Whose signature is it: every key the agency's, for the use, and as many as the object has."""

from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest

from exchange.agency.signatures import signers_of, sole_signer
from exchange.directory.state import (
    AgencyState,
    AgencyStatus,
    DirectoryState,
    Governance,
    KeyState,
    KeyStatus,
)
from exchange.log.tree import Frontier
from exchange_keys.jws import Signed, sign
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import encode
from exchange_schemas.envelope import NO_PREVIOUS
from exchange_schemas.errors import KeyWrongUse, SigInvalid
from exchange_schemas.ids import AgencyId

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
ORIGIN = "exchange.example"
NGO = AgencyId("ngo")
FIRST, SECOND, APPROVER = (SigningKey.from_seed(bytes([number]) * 32) for number in (1, 2, 3))


def key(signer: SigningKey, use: str) -> KeyState:
    day = timedelta(days=1)
    return KeyState(
        signer.public.kid, NGO, use, signer.public, KeyStatus.ACTIVE, nbf=NOW - day, exp=NOW + day
    )


def directory() -> DirectoryState:
    keys = [key(FIRST, "envelope"), key(SECOND, "envelope"), key(APPROVER, "approver")]
    agency = AgencyState(
        agency=NGO,
        name="An agency",
        kind="ngo",
        country="KE",
        public_authority=False,
        contact="desk@ngo.example",
        status=AgencyStatus.ACTIVE,
        standing_since=NOW,
        root=NO_PREVIOUS,
        keys=MappingProxyType({one.kid: one for one in keys}),
    )
    owners = MappingProxyType({one.kid: NGO for one in keys})
    return DirectoryState(
        ORIGIN, None, Governance(1, (), NOW), MappingProxyType({NGO: agency}), owners, Frontier.empty()
    )


def signed(*keys: SigningKey) -> Signed:
    return sign(encode({"v": 1, "typ": "hx-manifest", "origin": ORIGIN}), "hx-manifest", keys)


def kids(*keys: SigningKey) -> list[str]:
    found = signers_of(
        directory(), signed(*keys), "hx-manifest", agency=NGO, use="envelope", signed_at=NOW, now=NOW
    )
    return [one.kid for one in found]


def test_every_signer_is_named():
    assert kids(FIRST, SECOND) == [FIRST.public.kid, SECOND.public.kid]


def test_a_key_of_another_use_spoils_the_object():
    with pytest.raises(KeyWrongUse):
        kids(FIRST, APPROVER)


def test_a_second_signature_on_an_object_of_one_signer_is_the_error_that_the_hub_gives():
    times = {"signed_at": NOW, "now": NOW}
    one = sole_signer(directory(), signed(FIRST), "hx-manifest", agency=NGO, use="envelope", **times)
    assert one.kid == FIRST.public.kid
    with pytest.raises(SigInvalid):
        sole_signer(directory(), signed(FIRST, SECOND), "hx-manifest", agency=NGO, use="envelope", **times)
