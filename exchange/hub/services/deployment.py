"""What members pin of this deployment: its name, its address, who governs it, the keys of its two logs.

Public keys only. A member believes the file that it got out of band; what the hub answers is a convenience,
and nothing here may be mistaken for a proof.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exchange.hub.db import reading, storage_errors
from exchange.hub.services.directory_read import governance_of, operators_json, pin_of
from exchange.log.checkpoint import vkey
from exchange_schemas.errors import Unavailable

if TYPE_CHECKING:
    from exchange.hub.services.hub import Hub
    from exchange_schemas.codec import JsonValue


def deployment(hub: Hub) -> dict[str, JsonValue]:
    """The pins as one JSON object: what `exchange-hub deployment export` writes and members read.

    Raises: Unavailable before the first governance event; AuditUnavailable when the database does not answer.
    """
    with storage_errors(), reading(hub.engine) as conn:
        governance, pin = governance_of(conn), pin_of(conn)
    if governance is None or pin is None:
        raise Unavailable("the hub has no operator yet", hint="exchange-hub init")
    settings, keys = hub.settings, hub.keys
    return {
        **_witnesses(hub),
        "origin": settings.origin,
        "base_url": settings.base_url,
        "governance": {"k": governance.k, "operators": operators_json(governance), "pin": pin},
        "directory_vkey": vkey(settings.directory_log, keys.directory_log.public.raw),
        "audit_vkey": vkey(settings.audit_log, keys.audit_log.public.raw),
    }


def _witnesses(hub: Hub) -> dict[str, JsonValue]:
    """Who must have cosigned each log, where the policy asks for anybody; the addresses are for auditors."""
    policy = hub.witnesses
    if policy is None or policy.needed == 0:
        return {}
    vkeys: list[JsonValue] = [one.vkey for one in policy.members]
    urls: list[JsonValue] = [one.url for one in policy.members]
    quorum: dict[str, JsonValue] = {"quorum": policy.needed, "vkeys": vkeys}
    return {"witnesses": {**quorum, "urls": urls}, "directory_witnesses": {**quorum}}
