"""Who witnesses this hub's logs: the C2SP tlog-policy file that a setting names, read when a hub is opened.

The hub is stricter than the format: it must be able to reach every witness, and members' files can only say
"so many of these". Nothing here talks to a witness.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from exchange.log.checkpoint import VerifierKey, keys_of, parse_vkey, vkey
from exchange.log.cosignature import cosigner_vkey
from exchange.log.policy import MAX_BYTES, NONE, Policy
from exchange_schemas.errors import ConfigInvalid

if TYPE_CHECKING:
    from exchange.hub.hubkeys import HubKeys
    from exchange.hub.settings import Settings

SETTING: Final = "HOMEWARD_WITNESS_POLICY"
MOST: Final = 60
"""A note has room for 64 lines, and the log's own are among them."""


@dataclass(frozen=True, slots=True)
class WitnessNamed:
    """A witness: what the policy calls it, its key, its address."""

    name: str
    key: VerifierKey
    url: str

    @property
    def vkey(self) -> str:
        """Its verifier key string, by which the hub remembers it."""
        return cosigner_vkey(self.key.name, self.key.public)


@dataclass(frozen=True, slots=True)
class WitnessPolicy:
    """The policy as it was read, its witnesses, and the quorum as "`needed` of `members`".

    `needed` 0 with no members: the policy asks for none, and what any witness says is shown.
    """

    policy: Policy
    witnesses: tuple[WitnessNamed, ...]
    needed: int
    members: tuple[WitnessNamed, ...]


def load_policy(settings: Settings, keys: HubKeys) -> WitnessPolicy | None:
    """The policy of the settings; None when they name none. Raises: ConfigInvalid."""
    path = settings.witness_policy
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _invalid(f"{path} cannot be read ({error.strerror})") from None
    try:
        policy = Policy.from_bytes(data)
    except ConfigInvalid as error:
        raise _invalid(f"{path}: {error.message}", hint=error.hint) from error
    _check_logs(policy, settings, keys)
    plain = settings.environment == "development"
    return check_policy(policy, plain_allowed=plain)


def check_policy(policy: Policy, *, plain_allowed: bool) -> WitnessPolicy:
    """The policy with what the hub needs of it; `plain_allowed`: witnesses may have http addresses.

    Raises: ConfigInvalid, naming the witness or the group at fault.
    """
    witnesses = []
    for name, witness in policy.witnesses.items():
        if witness.url is None:
            raise _invalid(f"the witness {name} has no address, so nothing can be published to it")
        _check_url(name, witness.url, plain_allowed=plain_allowed)
        witnesses.append(WitnessNamed(name, witness.key, witness.url))
    if not witnesses:
        raise _invalid("the policy names no witness", hint=f"leave {SETTING} out to have none")
    needed, members = _quorum(policy, {one.name: one for one in witnesses})
    if len(witnesses) > MOST:
        raise _invalid(f"the policy names more than {MOST} witnesses")
    return WitnessPolicy(policy, tuple(witnesses), needed, members)


def _quorum(policy: Policy, known: dict[str, WitnessNamed]) -> tuple[int, tuple[WitnessNamed, ...]]:
    if policy.quorum == NONE:
        return 0, ()
    if policy.quorum in known:
        return 1, (known[policy.quorum],)
    group = policy.groups[policy.quorum]
    members = tuple(known[name] for name in group.members if name in known)
    if len(members) != len(group.members):
        raise _invalid(
            f"the group {policy.quorum} holds other groups, which members' files cannot say",
            hint="name one group of witnesses as the quorum",
        )
    return group.needed, members


def _check_logs(policy: Policy, settings: Settings, keys: HubKeys) -> None:
    """The file may be the one that auditors get: then its logs must be this hub's."""
    own = {
        parse_vkey(vkey(name, key.public.raw))
        for name, of in ((settings.audit_log, keys.audit_log), (settings.directory_log, keys.directory_log))
        for key in keys_of(of)
    }
    for log in policy.logs:
        if log.key not in own:
            raise _invalid(f"the policy names the log {log.key.name} with a key that is not this hub's")


def _check_url(name: str, url: str, *, plain_allowed: bool) -> None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if not host or parts.query or parts.fragment or parts.username is not None or port == 0:
        raise _invalid(f"the address of the witness {name} is not https://host, perhaps with port and path")
    if parts.scheme != "https" and not (plain_allowed and parts.scheme == "http"):
        raise _invalid(f"the address of the witness {name} must be https")


def _invalid(why: str, hint: str | None = None) -> ConfigInvalid:
    return ConfigInvalid(f"{SETTING}: {why}", field=SETTING, hint=hint)
