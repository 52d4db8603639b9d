"""The subject report and the printed card: complete, provable, and silent about who must never learn."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from exchange.agency import Client
from exchange.agency.printing import Why
from exchange.agency.subject import gather
from exchange.agency.subject.model import SubjectReport
from exchange.agency.subject.page import page
from exchange.log.proof import verify_entry
from exchange.member.cli.output import plain
from exchange.words import LANGUAGES, in_language
from exchange_schemas.codec import JsonValue, decode, unb64u
from exchange_schemas.errors import (
    FieldDenied,
    Malformed,
    NotPermitted,
    ProofInvalid,
    RecipientDenied,
    RecordUnknown,
)
from exchange_schemas.limits import LIMITS
from tests.integration.agency.exchange_world import (
    Exchange,
    child_with_decision,
    found_terms,
)
from tests.integration.agency.test_agency_deletions import newest, told
from tests.unit.agency.cli_runner import CommandLine

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]
PAPER = Why("Dr Haddad, clinic <North>", "emergency & treatment", "health", "vital_interest")
SPOKEN = {
    "fr": ("ltr", "Rapport sur les données de l&#x27;enfant", "Prénom"),
    "ar": ("rtl", "تقرير عن بيانات الطفل", "الاسم الأول"),
    "ru": ("ltr", "Отчёт о данных ребёнка", "Имя"),
}
_ALONE = {"meta", "br", "img"}


class Balanced(HTMLParser):
    """Every element is closed in its order; ids are unique; links within the page lead somewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.tags.append(tag)
        self.ids += [str(said["id"])] if "id" in said else []
        self.links += [str(said["href"])] if "href" in said else []
        if tag not in _ALONE:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(html: str) -> Balanced:
    """The page, sound and without anything that is loaded or run."""
    parsed = Balanced()
    parsed.feed(html)
    assert parsed.open == []
    assert len(set(parsed.ids)) == len(parsed.ids)
    assert {link.removeprefix("#") for link in parsed.links} <= set(parsed.ids)
    assert all(link.startswith("#") for link in parsed.links)
    assert not {"script", "link", "iframe", "form", "object"} & set(parsed.tags)
    assert "&lt;time" not in html
    assert "default-src &#x27;none&#x27;" in html
    assert not re.search(r"""(?:src|url\()\s*=?["']?https?:""", html)
    return parsed


def whole_story(ngo: Client, embassy: Client) -> tuple[str, str, SubjectReport]:
    """A notice opened, a withdrawal, a signed deletion, a print; the record, consent and report."""
    ref, cid, _ = told(ngo, embassy)
    ngo.withdraw(cid)
    embassy.deletions.answer(newest(embassy).gid)
    newest(ngo)
    ngo.prints.make(ref, ["name_given", "sex"], PAPER)
    list(ngo.outbox())
    return ref, cid, gather.of_record(ngo.session, ngo.records, ref)


def test_the_report_says_who_received_what_and_how_it_ended(ngo: Client, embassy: Client) -> None:
    _, cid, report = whole_story(ngo, embassy)
    (short,) = report.recipients
    assert (short.agency, short.name, short.kind) == ("embassy", "Embassy", "embassy")
    assert (short.state, short.deletion) == ("withdrawn", "answered")
    (given,) = report.given
    assert {"name_given", "sex", "current_area"} <= set(given.fields)
    assert (given.kind, given.purpose, given.consent, given.outcome) == (
        "found_notice",
        "trace",
        cid,
        "opened",
    )
    (consent,) = report.consents
    assert consent.ended is not None
    assert consent.ended.reason == "consent_withdrawn"
    assert [one.outcome for one in consent.ended.answers] == [{"outcome": "deleted"}]
    assert consent.bases == {"child": "best_interests_decision"}
    assert [(one.to, one.fields) for one in report.printed] == [(PAPER.to, ("name_given", "sex"))]
    assert {one.kind for one in report.timeline} == {"found_notice", "deletion_request", "deletion_receipt"}


def test_every_step_has_a_proof_that_verifies_against_the_logs_key_alone(
    ngo: Client, embassy: Client
) -> None:
    _, _, report = whole_story(ngo, embassy)
    acts = [proof.act for proof in report.proofs]
    assert sorted(set(acts)) == [
        "consent:register",
        "consent:withdraw",
        "disclosure:note",
        "envelope:deposit",
        "grant:fetch",
    ]
    for proof in report.proofs:
        verify_entry(unb64u(proof.entry, field="entry"), proof.proof, [report.log_key])
    with pytest.raises(ProofInvalid):
        verify_entry(unb64u(report.proofs[0].entry, field="entry"), report.proofs[1].proof, [report.log_key])


def test_the_page_is_sound_escapes_what_people_wrote_and_tells_no_value_unasked(
    ngo: Client, embassy: Client
) -> None:
    ref, _, report = whole_story(ngo, embassy)
    ngo.records.withhold(ref, "agency-who-must-not-learn")
    html = "".join(page(report))
    read(html)
    for shown in ("Subject report", "Given name", "deleted, signed on", "Dr Haddad, clinic &lt;North&gt;"):
        assert shown in html
    text = html + json.dumps(plain(report))
    assert "Plantedname" not in text
    assert "must-not-learn" not in text
    with_values = gather.of_record(ngo.session, ngo.records, ref, values=True)
    assert "Plantedname" in "".join(page(with_values))
    for code, (direction, title, label) in SPOKEN.items():
        with in_language(LANGUAGES[code]):
            told_in = "".join(page(with_values))
        read(told_in)
        assert f'<html lang="{code}" dir="{direction}">' in told_in
        assert [one for one in (title, label, "Plantedname", 'dir="ltr"') if one not in told_in] == []
        assert [one for one in (">When<", ">Agency<", "Subject report", "Given name") if one in told_in] == []


def test_what_is_not_known_is_said_and_an_unsent_record_has_a_short_report(
    ngo: Client, embassy: Client
) -> None:
    ref, _, _ = told(ngo, embassy)
    report = gather.of_record(ngo.session, ngo.records, ref)
    assert report.given[0].outcome is None
    assert "not known here" in "".join(page(report))
    unsent = gather.of_record(ngo.session, ngo.records, child_with_decision(ngo))
    assert unsent.recipients == ()
    html = "".join(page(unsent))
    read(html)
    assert "Nothing of this record was sent" in html
    with pytest.raises(RecordUnknown):
        gather.of_record(ngo.session, ngo.records, "nothing")


def test_what_was_never_fetched_is_not_said_to_have_been_received(ngo: Client, embassy: Client) -> None:
    ref = child_with_decision(ngo)
    ngo.sync()
    first = ngo.consents.grant(ref, to="embassy", terms=found_terms())
    ngo.send("found_notice", to=["embassy"], record=ref)
    (unasked,) = gather.of_record(ngo.session, ngo.records, ref).recipients
    assert (unasked.unfetched, "sex" in unasked.fields) == (0, True), "not known, so it may have been"
    list(ngo.outbox())
    (waits,) = gather.of_record(ngo.session, ngo.records, ref).given
    assert waits.state == "waiting"
    ngo.withdraw(first.cid)
    list(ngo.outbox())
    report = gather.of_record(ngo.session, ngo.records, ref)
    (short,) = report.recipients
    assert (short.messages, short.unfetched, short.fields) == (1, 1, ())
    html = "".join(page(report))
    read(html)
    for said in ("nothing: it has fetched no message", "1 message was never fetched", "not given any more"):
        assert said in html
    ngo.consents.grant(ref, to="embassy", terms=found_terms())
    sent = ngo.send("found_notice", to=["embassy"], record=ref)
    (gid,) = (item.gid for item in embassy.inbox(waiting_only=True) if item.eid == sent.eid)
    embassy.open_grant(gid)
    list(ngo.outbox())
    (short,) = gather.of_record(ngo.session, ngo.records, ref).recipients
    assert (short.messages, short.unfetched, "sex" in short.fields) == (2, 1, True)


def test_who_only_received_reports_on_a_thread(ngo: Client, embassy: Client) -> None:
    _, cid, notice = told(ngo, embassy)
    report = gather.of_thread(embassy.session, str(notice.thread))
    (received,) = report.received
    assert (received.sender, received.consent, received.kind) == ("ngo", cid, "found_notice")
    assert received.keep_until is not None
    assert [one.own for one in report.consents] == [False]
    assert [proof.act for proof in report.proofs] == ["grant:fetch"]
    read("".join(page(report)))
    with pytest.raises(RecordUnknown):
        gather.of_thread(embassy.session, "A" * 22)


# -- cards ---------------------------------------------------------------------------------------------


def test_a_card_carries_its_watermark_and_the_hub_logs_it_without_a_child(
    exchange: Exchange, ngo: Client
) -> None:
    ref = child_with_decision(ngo)
    html, row = ngo.prints.make(ref, ["sex", "name_given"], PAPER)
    read(html)
    assert html.count("Dr Haddad, clinic &lt;North&gt;") > 10
    assert "Plantedname" in html
    assert "Isaeva" not in html
    assert row.fields == ("name_given", "sex")
    assert row.entry is not None
    stored = ngo.session.receipts.get(row.entry)
    assert stored is not None
    entry = decode(stored.entry, limit=LIMITS.entry_bytes)
    assert (entry["act"], entry["fld"], entry["pur"]) == ("disclosure:note", ["name_given", "sex"], "health")
    assert (entry["own"], entry["pol"]) == (["ngo"], "basis:vital_interest")
    for hidden in (ref, row.id, "Haddad", "emergency"):
        assert hidden.encode() not in stored.entry


def test_a_card_is_printed_without_network_and_logged_at_the_next_sync(
    exchange: Exchange, ngo: Client
) -> None:
    ref = child_with_decision(ngo)
    exchange.stop()
    _, row = ngo.prints.make(ref, ["sex"], PAPER)
    assert row.entry is None
    assert [one.entry for one in ngo.prints.of_record(ref)] == [None]
    exchange.start()
    ngo.sync()
    (told_later,) = ngo.prints.of_record(ref)
    assert told_later.entry is not None
    assert ngo.sync().due == ()


def test_the_hub_refuses_a_note_that_is_not_of_the_catalogue(ngo: Client) -> None:
    good: dict[str, JsonValue] = {
        "print": "A" * 22,
        "purpose": "health",
        "basis": "consent",
        "names": ["sex"],
    }
    bad: list[dict[str, JsonValue]] = [
        {"names": ["a child's name"]},
        {"names": []},
        {"purpose": "gossip"},
        {"basis": "because"},
        {"print": "Plantedname"},
        {"child": "Plantedname"},
    ]
    for change in bad:
        with pytest.raises(Malformed) as caught:
            ngo.session.hub.post("/v1/disclosures", {**good, **change})
        assert "Plantedname" not in caught.value.message
    status, _ = ngo.session.hub.post("/v1/disclosures", good)
    assert status == 201


def test_a_card_is_refused_by_the_holders_rules(ngo: Client, embassy: Client) -> None:
    ref = child_with_decision(ngo)
    cases = [
        (["current_area"], PAPER, FieldDenied, "P01-purpose"),
        (["birth_date"], PAPER, FieldDenied, "P02-absent"),
        (["sex"], Why("", "because", "health", "consent"), Malformed, None),
        (["sex"], Why("the clinic", " ", "health", "consent"), Malformed, None),
        (["sex"], Why("the clinic", "x" * 201, "health", "consent"), Malformed, None),
        (["sex"], Why("the clinic", "because", "gossip", "consent"), Malformed, None),
        (["no_field"], PAPER, Malformed, None),
        ([], PAPER, Malformed, None),
    ]
    for fields, why, error, rule in cases:
        with pytest.raises(error) as caught:
            ngo.prints.make(ref, fields, why)
        assert rule is None or caught.value.rule == rule
    ngo.sync()
    ngo.records.withhold(ref, "embassy")
    with pytest.raises(RecipientDenied) as withheld:
        ngo.prints.make(ref, ["sex"], Why("embassy", "they ask", "health", "legal_obligation"))
    assert withheld.value.rule == "W01-withheld"
    ngo.records.decide(ref, procedure="bia", outcome="against", body="panel")
    with pytest.raises(NotPermitted) as against:
        ngo.prints.make(ref, ["sex"], Why("the clinic", "they ask", "health", "consent"))
    assert against.value.rule == "S02-against"
    assert ngo.prints.of_record(ref) == []


def test_a_card_with_a_photo_holds_the_picture_itself(ngo: Client, tmp_path: Path) -> None:
    ref = child_with_decision(ngo)
    Image.new("RGB", (40, 50), (200, 120, 80)).save(tmp_path / "drawn.png")
    ngo.records.attach_photo(ref, tmp_path / "drawn.png")
    html, row = ngo.prints.make(
        ref, ["photo", "sex"], Why("Ministry", "search poster", "trace", "best_interests_decision")
    )
    read(html)
    assert "data:image/jpeg;base64," in html
    assert row.fields == ("sex", "photo")


def test_the_commands_write_a_report_and_a_card_once(
    ngo: Client,
    embassy: Client,
    tmp_path: Path,
    command_of: Callable[[Client], CommandLine],
) -> None:
    ref, _, _ = told(ngo, embassy)
    run = command_of(ngo)
    assert "embassy" in run("subject", ref).out
    out = tmp_path / "report.html"
    run("subject", ref, "--report", "--ask-hub", "--out", out)
    read(out.read_text("utf-8"))
    data = json.loads(out.with_suffix(".json").read_text("utf-8"))
    assert data["given"][0]["outcome"] == "opened"
    assert out.stat().st_mode & 0o077 == 0
    assert run("subject", ref, "--report", "--out", out, ok=False).code != 0
    assert run("subject", ok=False).code == 64
    card = tmp_path / "card.html"
    why = ("--to", "the clinic", "--why", "illness", "--purpose", "health", "--basis", "vital_interest")
    done = run("record", "print", ref, *why, "--all", "--out", card, "--json").json
    assert done["print"]["fields"] == ["name_given", "sex", "age_range", "languages", "guardian_status"]
    read(card.read_text("utf-8"))
    assert run("record", "print", ref, *why, "--field", "sex", "--out", card, ok=False).code != 0
    assert run("record", "print", ref, *why, ok=False).code == 64
    assert (
        run("record", "print", ref, *why, "--field", "current_area", "--out", tmp_path / "x", ok=False).code
        != 0
    )
    assert not (tmp_path / "x").exists()
