"""`exchange-hub keys`: the hub's own keys, which sign tokens and the checkpoints of its two logs.

None of them can open a record, and no secret is ever shown.
"""

from __future__ import annotations

from datetime import UTC, datetime

import click

from exchange.hub.admin.commands import Target, examples, hub_command
from exchange.hub.admin.opened import opened_hub
from exchange.hub.admin.operator_key import KeySource, key_options
from exchange.hub.admin.weighty import open_operator
from exchange.hub.hubkeys import (
    AUDIT_LOG,
    DIRECTORY_LOG,
    TOKEN,
    HubKeys,
    TokenKey,
    load_hub_keys,
    rotate_token_key,
)
from exchange.hub.services.hub import utc_now
from exchange.hub.services.release import Answer, Trace, release_admin
from exchange.hub.services.unit import Unit
from exchange.hub.settings import Settings
from exchange_keys.public import PublicKey
from exchange_schemas.codec import JsonValue, format_time
from exchange_schemas.entry import Act


@click.group(name="keys", short_help="The hub's own keys.")
def group() -> None:
    """The hub's own keys."""


@group.command(name="list", epilog=examples("exchange-hub keys list", "exchange-hub keys list --json"))
@hub_command
def list_(target: Target) -> None:
    """List the hub's own keys: what each is for, how old it is, where it stands."""
    settings = target.settings()
    rows = _rows(settings, load_hub_keys(settings), utc_now())
    target.out.rows("the hub's own keys", rows, columns=("kind", "alg", "state", "since", "age_days", "kid"))


@group.command(
    epilog=examples("exchange-hub keys rotate --operator-key asha.key", "exchange-hub serve   (restarted)")
)
@hub_command
@key_options
def rotate(target: Target, *, source: KeySource) -> None:
    """Let the next token key sign, and make a new next one; logged under the operator.

    No valid token breaks: the next key was published before. Restart the hub afterwards; a second rotation
    within an hour is refused. The hub's passphrase must come from a file here, since it is read twice.
    """
    trace = Trace(act=Act.KEY_ROTATE)

    with opened_hub(target) as hub:
        key = open_operator(source, hub)

        def work(unit: Unit) -> Answer:
            rotate_token_key(hub.settings, unit.now)
            return Answer({}, trace)

        released = release_admin(hub, key.name, trace, work)
        rows = _rows(hub.settings, load_hub_keys(hub.settings), utc_now())
    entry = None if released.receipt is None else released.receipt.entry_id
    target.out.done(
        "the token key is rotated; restart the hub",
        {"operator": key.name, "entry": entry, "keys": list(rows)},
    )


def _rows(settings: Settings, keys: HubKeys, now: datetime) -> list[dict[str, JsonValue]]:
    current = keys.token_key(now).public.kid
    rows = [
        {**_key(TOKEN, item.key.public), "state": _state(item, current, now), **_age(item.not_before, now)}
        for item in keys.token
    ]
    for kind, key in ((AUDIT_LOG, keys.audit_log), (DIRECTORY_LOG, keys.directory_log)):
        # A log key has no date of its own; its file is written once.
        made = datetime.fromtimestamp((settings.keys_dir / f"{kind}.key").stat().st_mtime, UTC)
        rows.append({**_key(kind, key.public), "state": "current", **_age(made, now)})
    return rows


def _state(item: TokenKey, current: str, now: datetime) -> str:
    if item.not_before is None or item.not_before > now:
        return "next"
    return "current" if item.key.public.kid == current else "retired"


def _key(kind: str, public: PublicKey) -> dict[str, JsonValue]:
    return {"kind": kind, "alg": public.alg, "kid": public.kid}


def _age(since: datetime | None, now: datetime) -> dict[str, JsonValue]:
    if since is None:
        return {"since": None, "age_days": None}
    return {"since": format_time(since), "age_days": (now - since).days}
