"""The documents say what the code does: events, members, fields, links, commands."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from docs.generate import HERE, MADE, MEMBERS, PAGES, described_events
from exchange.hub.settings import Settings
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.consent import AuthoritySchema, ConsentRecordSchema, ConsentSchema
from exchange_schemas.entry import Act, EntrySchema
from exchange_schemas.errors import protocol_codes
from exchange_schemas.payload import members_of

ROOT = HERE.parent
PAGES_OF_PROSE = sorted(
    [*ROOT.glob("*.md"), *HERE.rglob("*.md"), *ROOT.glob("schemas/*.md"), *ROOT.glob("keys/*.md")]
)


def test_every_event_of_the_log_is_described_and_no_other() -> None:
    assert set(described_events()) == {act.value for act in Act}


def test_every_described_member_is_a_member_of_the_entry() -> None:
    known = set(members_of(EntrySchema))
    assert set(MEMBERS) == known
    assert all(set(event["members"]) <= known for event in described_events().values())  # type: ignore[call-overload]


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_generated_page_is_fresh(name: str) -> None:
    assert (HERE / name).read_text("utf-8") == MADE + PAGES[name]()


@pytest.mark.parametrize("page", PAGES_OF_PROSE, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    # A regular expression in code looks like a link and is none.
    prose = re.sub(r"(`+).*?\1", "", page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose):
        assert (page.parent / target).exists(), target


def test_every_setting_of_the_hub_stands_in_the_operators_table_and_no_other() -> None:
    rows = [
        line
        for line in (HERE / "operations.md").read_text("utf-8").splitlines()
        if line.startswith("| `HOME")
    ]
    told = {name for row in rows for name in re.findall(r"`HOMEWARD_([A-Z_]+)`", row.split("|")[1])}
    assert told == {one.name.upper() for one in fields(Settings)}


def test_the_protocol_names_every_code_that_a_recipient_may_give_and_no_other() -> None:
    codes = (HERE / "protocol.md").read_text("utf-8").partition("## 19 Error codes")[2]
    told = set(re.findall(r"[A-Z][A-Z_]{3,}", codes.partition("Others that this page names")[0]))
    assert told == set(protocol_codes())


def test_the_readme_shows_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert "make demo" in text
    assert "make test" in text


LOCKS = [ROOT / "requirements.lock", *sorted((ROOT / "bench" / "peers").glob("*.lock"))]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_names_no_registry_and_hashes_everything(lock: Path) -> None:
    text = lock.read_text("utf-8")
    assert "://" not in text
    for block in re.split(r"\n(?=[a-z0-9])", text):
        assert "--hash=sha256:" in block, block.splitlines()[0]


def test_every_member_basis_and_state_of_a_consent_is_mapped_to_the_standards() -> None:
    told = set(re.findall(r"`([a-z_.]+)`", (HERE / "consent-record.md").read_text("utf-8")))
    inside = {f"record.{name}" for name in members_of(ConsentRecordSchema)}
    inside |= {f"authorities.{name}" for name in members_of(AuthoritySchema)}
    members = set(members_of(ConsentSchema)) - {"record", "authorities"}
    states = {"active", "withdrawn", "superseded", "expired"}
    assert members | inside | states | set(load_catalogue().bases) <= told


def test_every_decision_has_a_number_of_its_own_in_its_name_and_its_title() -> None:
    records = sorted((HERE / "adr").glob("*.md"))
    numbers = [int(record.name[:4]) for record in records]
    # Numbers that were kept for a decision that was never needed stay free.
    assert len(set(numbers)) == len(numbers)
    for number, record in zip(numbers, records, strict=True):
        assert record.read_text("utf-8").startswith(f"# {number}. "), record.name
