"""`exchange-hub check`: what the start-up checks say of this hub, without starting it."""

from __future__ import annotations

import click

from exchange.hub.admin.commands import Target, examples, hub_command
from exchange.hub.admin.opened import opened_hub
from exchange.hub.admin.public import check_public
from exchange.hub.db import reading, storage_errors
from exchange.hub.services import audit_read, directory_read
from exchange.hub.services.hub import Hub
from exchange.hub.services.operators import require_governance
from exchange.hub.services.startup import check_ready
from exchange.hub.services.witness_guard import check_start
from exchange.hub.services.witness_status import lagging
from exchange_schemas.codec import JsonValue


@click.command(
    epilog=examples("exchange-hub check", "exchange-hub check --json", "exchange-hub check --public")
)
@hub_command
@click.option("--public", is_flag=True, help="Ask the base URL too, as a member program does.")
def check(target: Target, *, public: bool) -> None:
    """Check what must hold before this hub may serve: tables, durability, log, clock, keys, operators.

    With --public also that agencies reach it: the base URL leads to this hub, with a certificate that member
    programs trust. The hub must be served meanwhile.
    """
    with opened_hub(target) as hub:
        for warning in check_start(hub):
            target.out.note("warning: {warning}", warning=warning)
        facts = ready_facts(hub)
        if public:
            check_public(hub)
            facts["public"] = "reached"
    target.out.facts(facts, title="ready: every start-up check holds")


def ready_facts(hub: Hub) -> dict[str, JsonValue]:
    """Run every check; what the hub then is. Raises: Unavailable and what else the checks raise."""
    check_ready(hub)
    governance = require_governance(hub.engine)
    with storage_errors(), reading(hub.engine) as conn:
        audit, directory = audit_read.head(conn), directory_read.head(conn)
    settings = hub.settings
    return {
        "status": "ready",
        "origin": settings.origin,
        "base_url": settings.base_url,
        "environment": settings.environment,
        "database": hub.engine.dialect.name,
        "operators": f"{governance.k} of {len(governance.operators)}",
        "directory_events": directory.size,
        "audit_entries": audit.size,
        "lagging": [lag.to_json() for lag in lagging(hub)],
    }
