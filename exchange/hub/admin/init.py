"""`exchange-hub init`: a new hub from nothing, one command.

Settings, folders, tables, the hub's own keys, and the first events of its key directory, signed by the first
operator: who governs, and the sharing agreements that ship. Safe to repeat: what is there is checked and
kept, and nothing is ever written over.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click
from sqlalchemy import Engine

from exchange.hub.admin.agreement import shipped_agreements
from exchange.hub.admin.check import ready_facts
from exchange.hub.admin.commands import Target, examples, hub_command
from exchange.hub.admin.config import FILE_NAME, with_defaults, write_file
from exchange.hub.admin.operator_key import KeySource, OperatorKey, key_options
from exchange.hub.admin.weighty import kid_fingerprint
from exchange.hub.blobs import FolderBlobs
from exchange.hub.db import open_engine, storage_errors
from exchange.hub.hubkeys import HUB_KEY_FILES, HubKeys, create_hub_keys, load_hub_keys
from exchange.hub.revisions import migrate
from exchange.hub.services.agreements import agreements_now
from exchange.hub.services.deployment import deployment
from exchange.hub.services.hub import Hub, utc_now
from exchange.hub.services.operators import decide, governance_now
from exchange.hub.settings import Settings
from exchange_keys.jws import sign
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import ConfigInvalid, Conflict
from exchange_schemas.event import AgreementsEvent, GovernanceEvent, Operator

_PASSPHRASE_FILE: Final = "HOMEWARD_KEY_PASSPHRASE_FILE"
_PASSPHRASE_FD: Final = "HOMEWARD_KEY_PASSPHRASE_FD"
_NOT_KEPT: Final = frozenset({_PASSPHRASE_FD, "HOMEWARD_OWNER_DATABASE_URL"})
"""A descriptor is gone afterwards; the owner of the tables is for no worker to know."""


@click.command(
    epilog=examples(
        "exchange-hub operator keygen asha --out asha.key",
        "exchange-hub init --data-dir /srv/hub --origin exchange.example \\",
        "    --base-url https://exchange.example --hub-passphrase-file /etc/homeward/passphrase \\",
        "    --operator asha --operator-key asha.key",
        "HOMEWARD_DATABASE_URL=postgresql+psycopg://worker@/hub \\",
        "    HOMEWARD_OWNER_DATABASE_URL=postgresql+psycopg://owner@/hub exchange-hub init …",
    ),
    short_help="Make a new hub: folder, tables, keys, first operator.",
)
@hub_command
@click.option("--origin", help="The deployment's name, such as exchange.example; it can never be changed.")
@click.option("--base-url", help="Where agencies reach it, such as https://exchange.example.")
@click.option(
    "--guard-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the journal of withdrawals lies; use another volume. Default: DIR-guard.",
)
@click.option(
    "--hub-passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"A file that only the hub can read, with the passphrase of its keys. Default: {_PASSPHRASE_FILE}.",
)
@click.option("--operator", required=True, help="The name of the first operator, as in the key file.")
@click.option(
    "--without-agreements",
    is_flag=True,
    help="Sign no sharing agreements: consents alone decide until `agreement set`.",
)
@key_options
def init(
    target: Target,
    *,
    origin: str | None,
    base_url: str | None,
    guard_dir: Path | None,
    hub_passphrase_file: Path | None,
    operator: str,
    without_agreements: bool,
    source: KeySource,
) -> None:
    """Make a new hub in --data-dir, or finish making it.

    The database is a SQLite file there, unless HOMEWARD_DATABASE_URL names PostgreSQL. Every HOMEWARD_
    setting in the environment is kept in DIR/hub.env, so that later commands need only --data-dir; not the
    address of PostgreSQL's owner, which workers must not know.
    """
    options = {
        "HOMEWARD_ORIGIN": origin,
        "HOMEWARD_BASE_URL": base_url,
        "HOMEWARD_GUARD_DIR": _absolute(guard_dir),
        _PASSPHRASE_FILE: _absolute(hub_passphrase_file),
    }
    values = _values(target, {name: value for name, value in options.items() if value is not None})
    settings = Settings.from_environment(values)
    key = _open(source, operator, settings)
    _make_folders(target, settings, values)
    with storage_errors():
        migrate(settings)
    engine = open_engine(settings.database_url)
    try:
        facts = _begin(settings, engine, key, agreements=not without_agreements)
    finally:
        engine.dispose()
    target.out.facts(
        facts, title="the hub is made" if facts["made"] else "the hub was there already; all is well"
    )
    target.out.note("next: `exchange-hub deployment export FILE`, for the agencies; `exchange-hub serve`")


def _values(target: Target, options: Mapping[str, str]) -> dict[str, str]:
    """Settings from the environment, the file, and these options, which may not contradict them."""
    values = target.environment()
    for name, value in options.items():
        if values.setdefault(name, value) != value:
            raise ConfigInvalid(
                f"{name} is set to another value already, in the environment or in {FILE_NAME}",
                field=name,
                hint="edit hub.env if that is wrong; the origin of a hub that has events never changes",
            )
    if _PASSPHRASE_FILE not in values and _PASSPHRASE_FD not in values:
        raise ConfigInvalid(
            "there is no passphrase for the hub's own keys",
            field=_PASSPHRASE_FILE,
            hint="write a long random line to a file that only the hub can read: --hub-passphrase-file FILE",
        )
    return with_defaults(values)


def _open(source: KeySource, name: str, settings: Settings) -> OperatorKey:
    key = source.open(allow_insecure=settings.insecure_kdf)
    if key.name != name:
        raise ConfigInvalid(f"{source.path.name} is the key of another name than {name}", field="operator")
    return key


def _make_folders(target: Target, settings: Settings, values: Mapping[str, str]) -> None:
    for folder in (settings.data_dir, settings.guard_dir):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = settings.data_dir / FILE_NAME
    if target.config is None and not file.exists():
        write_file(file, {name: value for name, value in values.items() if name not in _NOT_KEPT})


def _begin(settings: Settings, engine: Engine, key: OperatorKey, *, agreements: bool) -> dict[str, JsonValue]:
    """Make the keys and the first events where they are missing; what the hub then is."""
    # Not `services.hub.open_hub`: a passphrase from a descriptor can be read once only.
    hub = Hub(
        settings=settings,
        engine=engine,
        clock=utc_now,
        random=os.urandom,
        keys=_keys(settings, begun=governance_now(engine) is not None),
        blobs=FolderBlobs(settings.blobs_dir),
    )
    made = _first_events(hub, key, agreements=agreements)
    governance = deployment(hub)["governance"]
    return {
        **ready_facts(hub),
        "data_dir": str(settings.data_dir),
        "guard_dir": str(settings.guard_dir),
        "pin": governance["pin"] if isinstance(governance, dict) else None,
        "operator": key.name,
        "fingerprint": kid_fingerprint(key.key.public.kid),
        "made": made,
    }


def _keys(settings: Settings, *, begun: bool) -> HubKeys:
    there = [(settings.keys_dir / name).exists() for name in HUB_KEY_FILES]
    if all(there):
        return load_hub_keys(settings)
    if any(there) or begun:
        # New log keys under an old log would look like a fork to everybody who pinned the old ones.
        raise _incomplete(settings, begun=begun)
    return create_hub_keys(settings, utc_now())


def _incomplete(settings: Settings, *, begun: bool) -> Conflict:
    folder = settings.keys_dir
    return Conflict(
        f"key files of the hub are missing in {folder}",
        hint="restore them from a backup"
        if begun
        else "nothing was ever signed with them: remove that folder and repeat",
    )


def _first_events(hub: Hub, key: OperatorKey, *, agreements: bool) -> bool:
    """The first events where they are missing; whether the very first was made now. Raises: Conflict."""
    public, now = key.key.public, hub.clock().replace(microsecond=0)
    governance = governance_now(hub.engine)
    if governance is None:
        operator = Operator(name=key.name, kid=public.kid, key=public.raw)
        first = GovernanceEvent(origin=hub.settings.origin, iat=now, k=1, operators=(operator,))
        decide(hub, sign(first.to_bytes(), first.typ, [key.key]))
    elif governance.key(public.kid) is None:
        raise Conflict(
            "this hub has other operators", hint="exchange-hub operator add, signed by one of them"
        )
    alone = governance is None or governance.k == 1
    if agreements and alone and agreements_now(hub.engine) is None:
        shipped = AgreementsEvent(
            origin=hub.settings.origin, iat=now, version=1, agreements=shipped_agreements()
        )
        decide(hub, sign(shipped.to_bytes(), shipped.typ, [key.key]))
    return governance is None


def _absolute(path: Path | None) -> str | None:
    return None if path is None else os.path.abspath(path)
