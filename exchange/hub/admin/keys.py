"""`exchange-hub keys`: the hub's own keys, which sign tokens and the checkpoints of its two logs.

None of them can open a record, and no secret is ever shown.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from exchange.hub.admin.acting import act_options
from exchange.hub.admin.commands import Target, examples, hub_command, language_option
from exchange.hub.admin.hub_act import ROTATE, HubKeyAct
from exchange.hub.admin.key_acts import Papers, key_signers
from exchange.hub.admin.log_keys import Move, change_log_key
from exchange.hub.admin.opened import opened_hub
from exchange.hub.admin.operator_key import KeySource, optional_key_options
from exchange.hub.admin.weighty import open_operator
from exchange.hub.hubkeys import (
    AUDIT_LOG,
    DIRECTORY_LOG,
    TOKEN,
    HubKeys,
    Rotation,
    TokenKey,
    load_hub_keys,
    replaced_token_keys,
    rotated_token_keys,
)
from exchange.hub.logkeys import CHANGE_LEAST, CHANGE_MOST, LIFE
from exchange.hub.services.hub import Hub, utc_now
from exchange.hub.services.operators import opr_of
from exchange.hub.services.release import Answer, Trace, release_admin
from exchange.hub.services.unit import Unit
from exchange.hub.settings import Settings
from exchange.log.checkpoint import LogKey
from exchange_keys.public import PublicKey
from exchange_schemas.codec import JsonValue, format_time
from exchange_schemas.entry import Act
from exchange_schemas.errors import Conflict, Malformed

ALL = "all"
TOKEN_LIFE = timedelta(days=90)


@click.group(name="keys", short_help="The hub's own keys.")
@language_option
def group() -> None:
    """The hub's own keys."""


@group.command(name="list", epilog=examples("exchange-hub keys list", "exchange-hub keys list --json"))
@hub_command
def list_(target: Target) -> None:
    """List the hub's own keys: what each is for, how old it is, where it stands."""
    settings = target.settings()
    rows = _rows(settings, load_hub_keys(settings), utc_now())
    target.out.rows("the hub's own keys", rows, columns=("kind", "state", "since", "age_days", "next", "kid"))


@group.command(epilog=examples("exchange-hub keys check", "exchange-hub keys check --json"))
@hub_command
def check(target: Target) -> None:
    """Say which keys are overdue and how to mend it. Exit code 0: none is; 1: at least one."""
    settings = target.settings()
    rows = _rows(settings, load_hub_keys(settings), utc_now())
    late = [row for row in rows if row["overdue"]]
    target.out.rows("overdue: {count}", late, columns=("kind", "state", "age_days", "next"), count=len(late))
    if late:
        steps = "; ".join(str(row["next"]).partition(": ")[2] for row in late)
        raise Conflict(f"{len(late)} of the hub's keys are overdue", hint=steps)


@group.command(
    epilog=examples(
        "exchange-hub keys rotate token --operator-key asha.key",
        "exchange-hub keys rotate token --compromised --operator-key asha.key",
        "exchange-hub keys rotate directory-log --operator-key asha.key",
        "exchange-hub keys rotate directory-log --approved directory-log-key.proposal.json",
        "exchange-hub keys rotate directory-log --finish --operator-key asha.key",
    )
)
@hub_command
@click.argument("kind", type=click.Choice((TOKEN, AUDIT_LOG, DIRECTORY_LOG, ALL)))
@click.option(
    "--compromised",
    is_flag=True,
    help="For the token key: it was stolen; replace all of them, and refuse every token.",
)
@click.option("--finish", is_flag=True, help="For a log key: the old key signs no more.")
@click.option(
    "--early", is_flag=True, help="Finish before 30 days; who has not pinned the new key is cut off."
)
@act_options
@optional_key_options
def rotate(
    target: Target,
    *,
    kind: str,
    compromised: bool,
    finish: bool,
    early: bool,
    proposal: Path | None,
    approved: Path | None,
    source: KeySource | None,
) -> None:
    """Change the hub's key KIND, or all of them; logged under who signed.

    token: the next key signs and a new next one is made; no valid token breaks, and running workers follow
    within two seconds (with workers on several machines, copy keys/token.key to each). audit-log,
    directory-log: a new key signs beside the old one until --finish, so that nobody who pinned the old one is
    cut off. Restart every worker after that. Where several operators must sign, the act goes round as a file;
    --compromised is done by one, at once, since it only takes away.
    The hub's passphrase must come from a file here, since it is read twice.
    """
    if compromised and (kind != TOKEN or finish or approved is not None or proposal is not None):
        raise click.UsageError("--compromised is for the token key, and one operator does it at once")
    if kind == ALL and (approved is not None or proposal is not None):
        raise click.UsageError("name one key for --approved and --proposal")
    with opened_hub(target) as hub:
        if kind in (TOKEN, ALL) and not finish:
            _rotate_token(target, hub, source, Papers(proposal, approved), compromised=compromised)
        for log in (AUDIT_LOG, DIRECTORY_LOG):
            if kind in (log, ALL):
                change_log_key(target, hub, source, Move(log, finish, early, proposal, approved))


def _rotate_token(
    target: Target, hub: Hub, source: KeySource | None, papers: Papers, *, compromised: bool
) -> None:
    """A calm rotation needs as many operators as govern; stolen keys are replaced by one, at once."""
    if compromised:
        if source is None:
            raise Malformed("operator-key: the key file of the operator who signs is needed")
        names = [open_operator(source, hub).name]
    else:
        kid = load_hub_keys(hub.settings).token_key(hub.clock()).public.kid
        asked = HubKeyAct(hub.settings.origin, TOKEN, ROTATE, kid, hub.clock().replace(microsecond=0))
        signers = key_signers(target, hub, source, asked, papers)
        if signers is None:
            return
        names = signers
    trace = Trace(act=Act.KEY_ROTATE, pol=f"{TOKEN}:compromised" if compromised else TOKEN)
    change = replaced_token_keys if compromised else rotated_token_keys
    made: list[Rotation] = []

    def work(unit: Unit) -> Answer:
        made.append(change(hub.settings, unit.now))
        return Answer({}, trace)

    released = release_admin(hub, opr_of(names), trace, work)
    # Only now that the log has it: what cannot be logged is not done.
    made[0].write()
    rows = _rows(hub.settings, load_hub_keys(hub.settings), utc_now())
    entry = None if released.receipt is None else released.receipt.entry_id
    said = "every token key is new: tokens given before are refused" if compromised else "the key is rotated"
    target.out.done(said, {"signed_by": list(names), "entry": entry, "keys": list(rows)})


def _rows(settings: Settings, keys: HubKeys, now: datetime) -> list[dict[str, JsonValue]]:
    current = keys.token_key(now).public.kid
    rows = []
    for item in keys.token:
        state, since = _state(item, current, now), item.not_before
        due = since + TOKEN_LIFE if state == "current" and since is not None else None
        rows.append(_row(TOKEN, item.key.public, state, now=now, since=since, due=due))
    for kind, key in ((AUDIT_LOG, keys.audit_log), (DIRECTORY_LOG, keys.directory_log)):
        # A log key has no date of its own; its file is written when it begins, and when the one before ends.
        since = datetime.fromtimestamp((settings.keys_dir / f"{kind}.key").stat().st_mtime, UTC)
        changing = isinstance(key, LogKey)
        due = since + (CHANGE_LEAST if changing else LIFE)
        state = "changing" if changing else "current"
        rows.append(_row(kind, key.public, state, now=now, since=since, due=due))
        if isinstance(key, LogKey):
            rows.append(_row(kind, key.before.public, "before", now=now))
    return rows


def _row(
    kind: str,
    public: PublicKey,
    state: str,
    *,
    now: datetime,
    since: datetime | None = None,
    due: datetime | None = None,
) -> dict[str, JsonValue]:
    """One key; `next` is what to do and from when, `overdue` whether that is late."""
    step = f"keys rotate {kind}{' --finish' if state == 'changing' else ''}"
    grace = CHANGE_MOST - CHANGE_LEAST if state == "changing" else timedelta(0)
    return {
        **_key(kind, public),
        "state": state,
        **_age(since, now),
        "next": None if due is None else f"{format_time(due)[:10]}: exchange-hub {step}",
        "overdue": due is not None and due + grace < now,
    }


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
