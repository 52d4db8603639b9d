"""What the audits of a hub share: something to audit, the hub's upkeep, and its whole log."""

from __future__ import annotations

from exchange.agency import Client
from exchange.hub.db import reading
from exchange.hub.services import audit_read
from exchange.hub.services.hub import Hub
from exchange.hub.services.slices import append_heads, index_some
from exchange.log.tiles import split_bundle
from tests.integration.agency.exchange_world import child_with_decision, found_terms


def deal(sender: Client, recipient: Client) -> None:
    """A notice that the recipient opens."""
    ref = child_with_decision(sender)
    to = recipient.session.profile.agency
    sender.consents.grant(ref, to=to, terms=found_terms())
    sender.send("found_notice", to=(to,), record=ref)
    recipient.sync()
    for item in list(recipient.inbox()):
        recipient.open_grant(item.gid)
    sender.sync()


def upkeep(hub: Hub) -> None:
    while index_some(hub):
        pass
    append_heads(hub)


def log_of(hub: Hub) -> list[bytes]:
    with reading(hub.engine) as conn:
        size = audit_read.head(conn).size
    return [one for part in audit_read.bundles(hub, 0, size) for one in split_bundle(part)]
