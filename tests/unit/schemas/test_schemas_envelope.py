"""Grant core and manifest: rules over several members."""

import json

import pytest

from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.envelope import GrantCore, Manifest
from exchange_schemas.errors import Malformed, VersionUnsupported
from exchange_schemas.limits import LIMITS
from tests.unit.schemas.examples import NOW, grant, manifest, part, some_digest, some_id


def passes(core: GrantCore) -> bool:
    return GrantCore.from_bytes(core.to_bytes()) == core


def refused(core, field: str) -> None:
    with pytest.raises(Malformed) as caught:
        core.to_bytes()
    assert caught.value.field == field


def test_a_grant_ends_after_it_begins():
    refused(grant(exp=NOW), "exp")


def test_a_field_and_a_part_stand_there_once():
    refused(grant(parts=(part(1, "sex"), part(2, "sex"))), "parts")
    refused(grant(parts=(part(1, "sex"), part(1, "photo"))), "parts")


def test_an_unknown_field_kind_or_purpose_is_refused():
    refused(grant(parts=(part(1, "religion"),)), "parts.f")
    refused(grant(kind="rumour"), "kind")
    refused(grant(pur="curiosity"), "pur")


@pytest.mark.parametrize("length", [0, -1, LIMITS.sealed_part_bytes + 1])
def test_a_part_has_a_length_within_the_limits(length):
    core = json.loads(grant().to_bytes())
    core["parts"][0]["len"] = length
    with pytest.raises(Malformed):
        GrantCore.from_bytes(json.dumps(core).encode())


def test_as_many_parts_as_the_limit_and_no_more():
    names = [*load_catalogue().fields, *load_catalogue().message_fields]
    full = tuple(part(n, name) for n, name in enumerate(names[: LIMITS.parts_per_grant]))
    assert passes(grant(parts=full))
    refused(grant(parts=(*full, part(99, names[LIMITS.parts_per_grant]))), "parts")


def test_the_first_grant_of_a_chain_has_no_previous_one_and_no_other_lacks_it():
    refused(grant(seq=2), "prev")
    refused(grant(prev=some_digest(3)), "prev")
    refused(grant(seq=0), "seq")
    assert passes(grant(seq=2, prev=some_digest(3)))


def test_a_kind_that_rests_on_consent_needs_it_with_its_subject():
    refused(grant(cns=None, subj=None), "cns")
    refused(grant(subj=None), "subj")
    refused(grant(cns=None), "subj")


def test_a_request_for_information_points_at_no_consent_and_says_by_when():
    asked = {"kind": "information_request", "parts": (part(1, "asked_fields"), part(2, "need_code"))}
    assert passes(grant(**asked, cns=None, subj=None, reply_by=NOW))
    refused(grant(**asked, reply_by=NOW), "cns")
    refused(grant(**asked, cns=None, subj=None), "reply_by")


def test_a_reference_may_point_at_a_consent_or_not():
    told = {"kind": "deletion_request", "parts": (part(1, "reason_code"),), "in_reply_to": some_id(9)}
    assert passes(grant(**told))
    assert passes(grant(**told, cns=None, subj=None))


def test_the_senders_grant_for_itself_needs_no_consent():
    own = {"rcp": "ngo-one", "cns": None, "supersedes": some_id(8)}
    assert passes(grant(**own, subj=None))
    assert passes(grant(**own))
    assert passes(grant(**own, kind="information_request"))


def test_another_version_of_the_catalogue_is_not_malformed():
    core = json.loads(grant().to_bytes())
    with pytest.raises(VersionUnsupported):
        GrantCore.from_bytes(json.dumps(core | {"sch": 2, "kind": "of_version_two"}).encode())
    with pytest.raises(Malformed):
        GrantCore.from_bytes(json.dumps(core | {"sch": 2, "typ": "hx-manifest"}).encode())
    for junk in ("1", None, True):
        with pytest.raises(Malformed):
            GrantCore.from_bytes(json.dumps(core | {"sch": junk}).encode())


def test_the_largest_grant_core_is_within_its_limit():
    names = sorted([*load_catalogue().fields, *load_catalogue().message_fields], key=len, reverse=True)
    parts = tuple(part(n, name) for n, name in enumerate(names[: LIMITS.parts_per_grant]))
    assert len(grant(parts=parts, reply_by=NOW, in_reply_to=some_id(1)).to_bytes()) < LIMITS.grant_core_bytes


def test_a_manifest_lists_its_grants_sorted_and_once():
    first, second = sorted([some_digest(1), some_digest(2)])
    for grants in ((), (second, first), (first, first)):
        refused(manifest(grants=grants), "grants")
    most = tuple(sorted(some_digest(n) for n in range(LIMITS.grants_per_manifest)))
    assert Manifest.from_bytes(manifest(grants=most).to_bytes()).grants == most
    refused(manifest(grants=tuple(sorted((*most, some_digest(999))))), "grants")
