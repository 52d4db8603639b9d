"""`/v1/audit/entries` and `/v1/audit/disclosures`: the log by filter, and what its commitments stand for."""

from __future__ import annotations

from typing import Any

from flask import Response
from marshmallow import fields, validate

from exchange.hub.api.audit import UNDER_PULL, ProvedEntry, about
from exchange.hub.api.base import Blueprint, JsonSchema, current_caller, current_hub, respond
from exchange.hub.api.schemas import (
    CURSOR_CHARS,
    EXAMPLE_DIGEST,
    EXAMPLE_ID,
    Count,
    Flag,
    Whole,
    agency,
    identifier,
    listed,
    matching,
    one_of,
    text,
)
from exchange.hub.services import audit_disclosures, audit_entries
from exchange.hub.services.audit_entries import Filter
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import MAX_INT
from exchange_schemas.entry import OUTCOMES, Act
from exchange_schemas.limits import LIMITS

blp = Blueprint(
    "audit_reading", "audit_reading", url_prefix="/v1/audit", description="The audit log, for its readers"
)
_UNDER_READING = "the reading that it belongs to is logged, once"


class EntryQuery(JsonSchema):
    """Which entries are wanted. Times are in microseconds since 1970, `since` inside and `until` outside."""

    agency = agency(required=False, description="A party of the entry")
    act = one_of(*(act.value for act in Act), required=False)
    outcome = one_of(*OUTCOMES, required=False)
    purpose = one_of(*load_catalogue().purposes, required=False)
    since = Count(validate=validate.Range(max=MAX_INT))
    until = Count(validate=validate.Range(max=MAX_INT))
    cursor = matching(f"[A-Za-z0-9_-]{{1,{CURSOR_CHARS}}}", required=False, limit=CURSOR_CHARS)
    limit = Count(
        load_default=audit_entries.PAGE_MOST, validate=validate.Range(min=1, max=audit_entries.PAGE_MOST)
    )


class EntryPage(JsonSchema):
    """Entries with their proofs; not complete by themselves. A page may be empty and not the last."""

    checkpoint = text(limit=4096, description="The signed tree that the proofs lead to")
    about = about()
    complete = Flag(required=True, metadata={"description": "Always false: a filter leaves entries out"})
    entries = listed(ProvedEntry, limit=audit_entries.PAGE_MOST)
    cursor = matching(f"[A-Za-z0-9_-]{{1,{CURSOR_CHARS}}}", limit=CURSOR_CHARS)
    more = Flag(required=True, metadata={"description": "Whether there is more under this pull"})


@blp.route("/entries", methods=["GET"])
@blp.operation(
    scope="audit:read",
    act=Act.AUDIT_READ,
    unlogged=UNDER_PULL,
    summary="Read entries by filter, each proved",
    description="For an auditor with an open pull. Cursors are places in the log and stay good for ever.",
    query=EntryQuery,
    responses={200: EntryPage},
    examples={
        200: {
            "checkpoint": "hub.example/audit\n1\nx\n\n— hub.example/audit x\n",
            "about": ["ngo-a"],
            "complete": False,
            "entries": [{"index": 0, "entry": "eyJ2IjoxfQ", "path": [EXAMPLE_DIGEST]}],
            "cursor": "AAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAA",
            "more": False,
        }
    },
)
def entries(query: dict[str, Any]) -> Response:
    """A page of entries."""
    wanted = Filter(
        agency=query.get("agency"),
        act=query.get("act"),
        out=query.get("outcome"),
        pur=query.get("purpose"),
        since=query.get("since"),
        until=query.get("until"),
    )
    return respond(
        audit_entries.entries(current_hub(), current_caller(), wanted, query.get("cursor"), query["limit"])
    )


class ReadingRequest(JsonSchema):
    """What is to be read: the ids behind `cns` and `rec`, or the callers' signed proofs behind `req`."""

    what = one_of(audit_disclosures.IDS, audit_disclosures.PROOFS)


class ReadingOpened(JsonSchema):
    """For 24 hours the caller may read the disclosures of the entries before number `size`."""

    reading = identifier()
    size = Whole(required=True)
    about = about()


@blp.route("/disclosures", methods=["POST"])
@blp.operation(
    scope="audit:read",
    act=Act.DISCLOSURE_READ,
    summary="Open a reading of what the commitments stand for",
    description="One logged entry for all that is read under it in 24 hours.",
    request=ReadingRequest,
    responses={201: ReadingOpened},
    max_bytes=1024,
    examples={
        "request": {"what": "ids"},
        201: {"reading": EXAMPLE_ID, "size": 1, "about": None},
    },
)
def open_reading(body: dict[str, Any]) -> Response:
    """201 with the size that the reading covers."""
    return respond(audit_disclosures.open_reading(current_hub(), current_caller(), body["what"]))


class DisclosureQuery(JsonSchema):
    """Where a page begins."""

    from_ = Count(
        load_default=0,
        data_key="from",
        attribute="start",
        validate=validate.Range(max=MAX_INT),
        metadata={"description": "The number of the first entry"},
    )


class Disclosure(JsonSchema):
    """Salt and value behind one member of one entry; the salt of a proof is empty."""

    index = Whole(required=True)
    name = one_of("cns", "rec", "req")
    salt = fields.String(required=True, metadata={"maxLength": 43})
    value = text(limit=LIMITS.entry_bytes)


class DisclosurePage(JsonSchema):
    """The disclosures of up to 1,024 entries; none of those that were forgotten."""

    disclosures = listed(Disclosure, limit=2 * audit_disclosures.SCAN)
    next = Whole(required=True, allow_none=True, metadata={"description": "`from` of the next page"})


@blp.route("/disclosures/<string:reading>", methods=["GET"])
@blp.operation(
    scope="audit:read",
    act=Act.AUDIT_READ,
    unlogged=_UNDER_READING,
    summary="Read what the commitments stand for",
    description="For an auditor with an open reading, as far as it is accredited.",
    query=DisclosureQuery,
    responses={200: DisclosurePage},
    examples={
        200: {
            "disclosures": [{"index": 0, "name": "cns", "salt": EXAMPLE_DIGEST, "value": EXAMPLE_ID}],
            "next": None,
        }
    },
)
def read_disclosures(reading: str, query: dict[str, Any]) -> Response:
    """A page of disclosures."""
    return respond(audit_disclosures.read_page(current_hub(), current_caller(), reading, query["start"]))
