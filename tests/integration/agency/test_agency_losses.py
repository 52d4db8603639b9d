"""Rehearsals of docs/keys.md: a lost laptop (section 1), and an agency that leaves (section 7)."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from functools import partial
from pathlib import Path

import pyrage
import pytest

from exchange.agency import Client
from exchange.agency.export import export
from exchange.agency.key_rotation import RootSource
from exchange.directory.events import expel_event, resume_event, suspend_event
from exchange.hub.services import operators
from exchange.member.cli.output import plain
from exchange.member.home import Home
from exchange.member.new_users import add_approver
from exchange.member.recovery import RecoveryKey, make_recovery, recover
from exchange.member.rotation import COMPROMISED
from exchange.member.users import NewUser
from exchange_keys.agefile import open_with_identity, seal_to_recipients
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import Conflict, KeyRevoked, RecipientDenied, Unauthorized
from tests.integration.agency.exchange_world import (
    CHILD,
    PASSPHRASE,
    ROOT_PASSPHRASE,
    Exchange,
    child_with_decision,
    found_terms,
)
from tests.integration.agency.test_agency_attachments import picture

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]

# What the officer's safe holds. That a passphrase opens it as well has its test in test_agency_custody.py.
SAFE = pyrage.x25519.Identity.generate()


def standing(exchange: Exchange, client: Client, name: str, after: int) -> None:
    """The operator suspends the agency or lets it take part again."""
    common = {
        "origin": exchange.hub.settings.origin,
        "iat": exchange.hub.clock().replace(microsecond=0) + timedelta(seconds=after),
        "agency": client.session.profile.agency,
        "signers": [exchange.operator],
    }
    event = resume_event(**common) if name == "resume" else suspend_event(**common, reason="security")  # type: ignore[arg-type]
    operators.decide(exchange.hub, event)


def test_a_laptop_is_lost_and_the_agency_works_on(
    exchange: Exchange, ngo: Client, embassy: Client, tmp_path: Path
) -> None:
    age = tmp_path / "recovery.age"
    make_recovery(embassy.session, partial(seal_to_recipients, recipients=[str(SAFE.to_public())]), age)
    own = child_with_decision(embassy)
    embassy.sync()
    embassy.consents.grant(own, to="ngo", terms=found_terms())
    before = embassy.send("found_notice", to=["ngo"], record=own)
    lost, backup = exchange.folder / "embassy", tmp_path / "backup"
    embassy.close()
    shutil.copytree(lost, backup)
    ngo.sync()
    ref = child_with_decision(ngo)
    ngo.consents.grant(ref, to="embassy", terms=found_terms())
    sent = ngo.send("found_notice", to=["embassy"], record=ref)
    # 1: the operator suspends; the thief gets no token, and nobody sends.
    with exchange.client(lost) as thief:
        standing(exchange, thief, "suspend", 1)
        with pytest.raises(Unauthorized):
            thief.sync()
    ngo.sync()
    with pytest.raises(RecipientDenied):
        ngo.send("found_notice", to=["embassy"], record=ref)
    # 2 to 4: the backup, opened from the safe; a new approver with the root; every key at once.
    for file in (backup / "users").iterdir():
        file.unlink()
    key = RecoveryKey.from_bytes(open_with_identity(age.read_bytes(), str(SAFE)))
    secret = b"maria's new passphrase"
    recover(Home(backup), key, NewUser("maria", secret, insecure=True))
    with exchange.client(backup, "maria", secret) as maria:
        # Nobody's passphrase is left, and all that the backup held is readable: records, and what was sent.
        fields = maria.records.get(own).fields
        assert {name: fields[name] for name in CHILD} == CHILD
        (shown,) = maria.timeline(record=own)
        assert (shown.eid, shown.kind) == (before.eid, "found_notice")
        standing(exchange, maria, "resume", 2)
        new = NewUser("noor", b"noor's new passphrase", insecure=True)
        add_approver(maria.session, new, root_file=None, root_passphrase=ROOT_PASSPHRASE)
    with exchange.client(backup, "noor", b"noor's new passphrase") as noor:
        for use in ("auth", "envelope", "enc"):
            assert noor.keys.change(use, reason=COMPROMISED).finished
        # 6: what nobody had opened comes again by itself.
        ngo.sync()
        assert ngo.sync().alarms == ()
        with pytest.raises(KeyRevoked):
            noor.open_grant(sent.grants[0].gid)
        (item,) = [one for one in noor.inbox() if one.eid == sent.eid and one.gid != sent.grants[0].gid]
        assert noor.open_grant(item.gid).fields["sex"] == "female"
    with exchange.client(lost) as thief, pytest.raises(Unauthorized):
        thief.session.hub.get("/v1/inbox", {"limit": 1})


def test_an_approver_key_on_the_lost_laptop_is_ended_by_the_root(exchange: Exchange, ngo: Client) -> None:
    root = RootSource(passphrase=ROOT_PASSPHRASE)
    old = ngo.session.require_approver().public.kid
    assert ngo.keys.change_approver(PASSPHRASE, root, reason=COMPROMISED, insecure=True).finished
    assert {key.kid: key.status for key in ngo.keys_of("ngo")}[old] == "revoked"


def test_an_agency_leaves_with_what_is_its_own(
    exchange: Exchange, ngo: Client, embassy: Client, tmp_path: Path
) -> None:
    """Section 7, step by step."""
    ngo.sync()
    ref = child_with_decision(ngo)
    ngo.records.attach_photo(ref, picture(tmp_path / "p.jpg"))
    consent = ngo.consents.grant(ref, to="embassy", terms=found_terms())
    sent = ngo.send("found_notice", to=["embassy"], record=ref)
    embassy.open_grant(sent.grants[0].gid)
    # 1: every consent is withdrawn; whoever had opened something is asked to delete it.
    ngo.consents.withdraw(consent.cid)
    ngo.sync()
    assert [row.recipient for row in ngo.deletions.asked(unanswered=True)] == ["embassy"]
    # 2: the recipient deletes, and answers with a signed receipt.
    embassy.sync()
    (request,) = [item for item in embassy.inbox(waiting_only=True) if item.kind == "deletion_request"]
    embassy.open_grant(request.gid)
    embassy.deletions.answer(request.gid)
    assert embassy.message(sent.grants[0].gid) is None
    (receipt,) = [item for item in ngo.inbox(waiting_only=True) if item.kind == "deletion_receipt"]
    ngo.open_grant(receipt.gid)
    assert list(ngo.deletions.asked(unanswered=True)) == []
    (answered,) = ngo.deletions.asked()
    assert answered.outcome == {"outcome": "deleted"}
    # 3: what is its own comes home, photos too.
    out = tmp_path / "export"
    counts = export(ngo, out, plain)
    assert (counts["records"], counts["consents"], counts["photos"]) == (1, 1, 1)
    assert counts["sent"] >= 1
    assert counts["receipts"] > 0
    (record,) = (out / "records.ndjson").read_text("utf-8").splitlines()
    assert json.loads(record)["ref"] == ref
    assert (out / "photos" / f"{ref}.jpg").read_bytes() == ngo.records.photo(ref)
    assert [path for path in out.rglob("*") if path.is_file() and path.stat().st_mode & 0o077] == []
    with pytest.raises(Conflict):
        export(ngo, out, plain)
    # 4: suspended, then expelled, for good: no token, and nobody sends to it any more.
    standing(exchange, ngo, "suspend", 1)
    with pytest.raises(Unauthorized):
        exchange.client(exchange.folder / "ngo").sync()
    expelled = expel_event(
        origin=exchange.hub.settings.origin,
        iat=exchange.hub.clock().replace(microsecond=0) + timedelta(seconds=2),
        agency=ngo.session.profile.agency,
        reason="own_request",
        signers=[exchange.operator],
    )
    operators.decide(exchange.hub, expelled)
    embassy.sync()
    asked: dict[str, JsonValue] = {"asked_fields": ["sex"], "need_code": "identify"}
    with pytest.raises(RecipientDenied):
        embassy.send("information_request", to=["ngo"], content=asked, reply_by=embassy.session.now())
    (received,) = embassy.consents.received()
    assert received.status == "withdrawn"
    assert embassy.sync().alarms == ()
