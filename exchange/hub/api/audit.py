"""`/v1/audit`: the audit log as its readers get it (C2SP tlog-tiles), pulls, and receipts for the parties."""

from __future__ import annotations

from typing import Any

from flask import Response
from marshmallow import fields, validate

from exchange.hub.api.base import (
    BYTES,
    TEXT,
    Blueprint,
    JsonSchema,
    current_caller,
    current_hub,
    respond,
    respond_bytes,
)
from exchange.hub.api.schemas import (
    EXAMPLE_DIGEST,
    EXAMPLE_ID,
    EXAMPLE_RECEIPT,
    Count,
    Flag,
    ReceiptSchema,
    Whole,
    agency,
    encoded,
    hashes,
    identifier,
    listed,
    text,
)
from exchange.hub.services import audit_pulls, slice_read, witnessed
from exchange.hub.services.logs import audit_log
from exchange.log.tiles import parse_tile_path
from exchange_schemas.codec import MAX_INT
from exchange_schemas.entry import Act
from exchange_schemas.limits import LIMITS

blp = Blueprint("audit", "audit", url_prefix="/v1/audit", description="The audit log, for its readers")
_NOT_AN_ANSWER = "it shows hashes only, or an entry to its own party: reading it is not logged"
UNDER_PULL = "the pull that it is read under is logged, once"


def about() -> fields.List[Any]:
    """The agencies that an auditor is accredited for."""
    return fields.List(
        agency(),
        required=True,
        allow_none=True,
        metadata={"maxItems": 1000, "description": "Whose entries the caller may read; null: all"},
    )


class PullRequest(JsonSchema):
    """From which entry on the caller needs the log."""

    from_ = Whole(
        required=True,
        data_key="from",
        attribute="start",
        validate=validate.Range(min=0),
        metadata={"description": "The number of entries that the caller has"},
    )


class PullOpened(JsonSchema):
    """For 24 hours the caller may read the entries before number `size`, as far as it is accredited."""

    pull = identifier()
    size = Whole(required=True)
    checkpoint = text(limit=4096)
    about = about()


class SaltQuery(JsonSchema):
    """Where a page of salts begins."""

    after = agency(required=False, description="The last party of the page before")


class Salt(JsonSchema):
    """The secret of a party's slice."""

    party = agency()
    salt = encoded(limit=32)


class SaltPage(JsonSchema):
    """Up to 500 salts; `more` says whether another page follows."""

    salts = listed(Salt, limit=audit_pulls.SALTS_PAGE)
    more = Flag(required=True)


class SliceQuery(JsonSchema):
    """Where a page of the caller's slice begins."""

    from_ = Count(
        load_default=0,
        data_key="from",
        attribute="start",
        validate=validate.Range(max=MAX_INT),
        metadata={"description": "The number of entries of its slice that the caller has"},
    )


class ProvedEntry(JsonSchema):
    """An entry and its inclusion proof in the tree of the checkpoint beside it (RFC 6962, 2.1.1)."""

    index = Whole(required=True)
    entry = encoded(limit=LIMITS.entry_bytes)
    path = hashes("From the leaf's sibling up")


class SliceHeads(JsonSchema):
    """The newest heads entry, proved in the log, and the caller's slice proved under it."""

    entry = encoded(limit=LIMITS.entry_bytes)
    proof = text(limit=16 * 1024, description="C2SP tlog-proof of the heads entry; its tree is the page's")
    size = Whole(required=True, metadata={"description": "The entries of the caller's slice"})
    salt = encoded(limit=32)
    position = Whole(required=True)
    parties = Whole(required=True, metadata={"description": "The leaves of the tree of heads"})
    path = hashes("The slice's inclusion proof in the tree of heads")


class SlicePage(JsonSchema):
    """Up to 64 entries of the caller's slice; `heads` is null until a heads entry knows the caller."""

    heads = fields.Nested(SliceHeads, required=True, allow_none=True)
    entries = listed(ProvedEntry, limit=slice_read.PAGE)
    next = Whole(required=True, allow_none=True, metadata={"description": "`from` of the next page"})


_NOTE = "hub.example/audit\n1\nx\n\n— hub.example/audit x\n"
_OPENED = {"pull": EXAMPLE_ID, "size": 1, "checkpoint": _NOTE, "about": None}


@blp.route("/log/checkpoint", methods=["GET"])
@blp.operation(
    auth=False,
    summary="Give the signed checkpoint of the audit log",
    description="C2SP tlog-checkpoint: the newest that the witnesses cosigned, where there are any. "
    "Not logged.",
    responses={200: TEXT},
    examples={200: _NOTE},
)
def checkpoint() -> Response:
    """The note, for everybody."""
    hub = current_hub()
    return Response(witnessed.checkpoint(hub, audit_log(hub)), mimetype="text/plain")


@blp.route("/log/tile/<path:rest>", methods=["GET"])
@blp.operation(
    scope="directory:read",
    act=Act.AUDIT_READ,
    unlogged=_NOT_AN_ANSWER,
    summary="Read a tile of hashes",
    description="C2SP tlog-tiles, `tile/<L>/<N>[.p/<W>]`; for every member.",
    responses={200: BYTES},
)
def tile(rest: str) -> Response:
    """The hashes of the tile."""
    wanted = parse_tile_path(f"tile/{rest}")
    # The route of entries is another one and comes first, so that a level is always named here.
    level = 0 if wanted.level is None else wanted.level
    released, data = audit_pulls.tile(current_hub(), current_caller(), level, wanted.n, wanted.width)
    return respond_bytes(released, data)


@blp.route("/log/tile/entries/<path:rest>", methods=["GET"])
@blp.operation(
    scope="audit:read",
    act=Act.AUDIT_READ,
    unlogged=UNDER_PULL,
    summary="Read a bundle of entries",
    description="C2SP tlog-tiles, `tile/entries/<N>[.p/<W>]`; for an auditor with an open pull.",
    responses={200: BYTES},
)
def entries(rest: str) -> Response:
    """The entries of the bundle."""
    wanted = parse_tile_path(f"tile/entries/{rest}")
    released, data = audit_pulls.bundle(current_hub(), current_caller(), wanted.n, wanted.width)
    return respond_bytes(released, data)


@blp.route("/pulls", methods=["POST"])
@blp.operation(
    scope="audit:read",
    act=Act.AUDIT_PULL,
    summary="Open a pull of the audit log",
    description="One logged entry for all that is read under it in 24 hours.",
    request=PullRequest,
    responses={201: PullOpened},
    max_bytes=1024,
    examples={"request": {"from": 0}, 201: _OPENED},
)
def open_pull(body: dict[str, Any]) -> Response:
    """201 with the size that the pull covers."""
    return respond(audit_pulls.open_pull(current_hub(), current_caller(), body["start"]))


@blp.route("/salts", methods=["GET"])
@blp.operation(
    scope="audit:read",
    act=Act.AUDIT_READ,
    unlogged=UNDER_PULL,
    summary="Read the salts of the slices",
    description="To recompute the heads entries of the log; for an auditor with an open pull.",
    query=SaltQuery,
    responses={200: SaltPage},
    examples={200: {"salts": [{"party": "ngo-a", "salt": EXAMPLE_DIGEST}], "more": False}},
)
def salts(query: dict[str, Any]) -> Response:
    """A page of salts."""
    return respond(audit_pulls.salts(current_hub(), current_caller(), query.get("after")))


@blp.route("/receipts/<string:entry>", methods=["GET"])
@blp.operation(
    scope="directory:read",
    act=Act.AUDIT_READ,
    unlogged=_NOT_AN_ANSWER,
    summary="Read the receipt of an entry again",
    description="For a party of the entry, byte for byte as it was given.",
    responses={200: ReceiptSchema},
    examples={200: EXAMPLE_RECEIPT},
)
def receipt(entry: str) -> Response:
    """The entry and its proof; 404 when the caller is no party of it."""
    return respond(audit_pulls.receipt(current_hub(), current_caller(), entry))


_SLICE = {
    "heads": {
        "entry": "eyJ2IjoxfQ",
        "proof": EXAMPLE_RECEIPT["proof"],
        "size": 1,
        "salt": EXAMPLE_DIGEST,
        "position": 0,
        "parties": 1,
        "path": [],
    },
    "entries": [{"index": 0, "entry": "eyJ2IjoxfQ", "path": [EXAMPLE_DIGEST]}],
    "next": None,
}


@blp.route("/slice", methods=["GET"])
@blp.operation(
    scope="directory:read",
    act=Act.AUDIT_READ,
    unlogged=_NOT_AN_ANSWER,
    summary="Read the entries about the caller, each proved",
    description="The caller's own slice of the log, under the newest heads entry; no entry of others.",
    query=SliceQuery,
    responses={200: SlicePage},
    examples={200: _SLICE},
)
def own_slice(query: dict[str, Any]) -> Response:
    """A page of the slice, with the heads over it."""
    return respond(slice_read.read_slice(current_hub(), current_caller(), query["start"]))
