"""Taking a new deployment file: another address, other witnesses, the log keys after a change-over.

What was pinned first stays what is believed: the deployment's name and its first governance event can never
change, and a new log key is taken only while the log itself bears both signatures. A hub can offer nothing
here; the file comes from a person, out of band. It may be cut short anywhere: the old or the new file counts.
"""

from __future__ import annotations

from dataclasses import replace

from exchange.log.checkpoint import open_checkpoint
from exchange.log.note import NOTE_BYTES
from exchange.member.deployment import Deployment
from exchange.member.directory import retire_vkey
from exchange.member.files import write_private
from exchange.member.session import Session
from exchange_schemas.errors import CheckpointInvalid, ConfigInvalid

_LOGS = (
    ("directory", "/v1/directory/checkpoint", "directory_vkey"),
    ("audit", "/v1/audit/log/checkpoint", "audit_vkey"),
)


def update_pins(session: Session, new: Deployment) -> list[str]:
    """Take the new pins; the names of what changed. The session must be opened again afterwards.

    Raises: ConfigInvalid (another deployment, a log key that the log does not sign with), HubUnreachable.
    """
    old = session.profile.deployment
    if (new.origin, new.pin) != (old.origin, old.pin):
        raise ConfigInvalid(
            "the file is of another deployment, or of another beginning of this one",
            field="origin",
            hint="do not use it; call the operator",
        )
    changed = [name for name, value in new.to_json().items() if old.to_json().get(name) != value]
    changed += [name for name in old.to_json() if name not in new.to_json()]
    for log, path, member in _LOGS:
        if member in changed:
            _check_change_over(session, path, log, (getattr(old, member), getattr(new, member)))
    if changed:
        retire_vkey(session.store, old.directory_vkey)
        _write(session, new)
    return changed


def _check_change_over(session: Session, path: str, log: str, vkeys: tuple[str, str]) -> None:
    """The log's present checkpoint bears both signatures: the old key vouches for the new one."""
    note = session.hub.get_text(path, limit=NOTE_BYTES)
    try:
        for vkey in vkeys:
            open_checkpoint(note, [vkey])
    except CheckpointInvalid as error:
        raise ConfigInvalid(
            f"the {log} log does not sign with both the pinned key and the new one",
            field=f"{log}_vkey",
            hint="do not use the file; call the operator",
        ) from error


def _write(session: Session, new: Deployment) -> None:
    profile = replace(session.profile, deployment=new)
    path, key = session.home.keys_file, session.store_key
    session.keys.save(path, key, session.profile, next_profile=profile)
    write_private(session.home.profile_file, profile.to_bytes())
    session.keys.save(path, key, profile)
    session.profile = profile
