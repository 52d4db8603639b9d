"""Changes that only the root may sign: of a person's approver key, and of the root itself.

The plan asks for signatures; they come from the root's key file at hand, or from another machine as a file
(see `root_request`). Nothing is logged before every signature is in the plan, and a file that signs anything
but what was asked is refused.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from exchange.directory.state import APPROVER, AUTH, ROOT
from exchange.member.key_changes import NEXT_SUFFIX, KeyChanges
from exchange.member.key_plans import Change
from exchange.member.root_file import root_public
from exchange.member.root_request import RootEvents
from exchange.member.rotation import COMPROMISED, Step
from exchange.member.users import NewUser, public_of, write_user_file
from exchange_keys.jws import Signed
from exchange_keys.public import PublicKey
from exchange_keys.root import RootKey
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import ConfigInvalid, Conflict, ManifestMismatch, SenderMismatch, Unauthorized
from exchange_schemas.ids import Kid


def begin_approver(changes: KeyChanges, user: NewUser, *, reason: str) -> Change:
    """The open change of a user's approver key, or a new one; its secret lies in users/NAME.next.

    The new file bears the same passphrase. A plan that cannot be gone on with (its new key was stolen too, or
    is lost) gives way to a new one, which ends that key as well. Raises: ConfigInvalid.
    """
    session = changes.session
    waiting = session.home.user_file(user.name).with_suffix(NEXT_SUFFIX)
    found = changes.open_plan(APPROVER, user.name)
    if found is not None:
        present = (public_of(waiting), public_of(session.home.user_file(user.name)))
        lost = all(key is None or key.kid != found.kid for key in present)
        if not lost and not found.overtaken_by(reason):
            return found
        reason = reason if found.overtaken_by(reason) else found.reason
    key = SigningKey.generate()
    write_user_file(waiting, user, session.store_key, key, replace=True)
    holder = changes.holder_of(user.name)
    old = changes.old_kids(APPROVER, holder, instead_of=found)
    change = Change(APPROVER, reason, key.public, old, changes.now(), user=user.name)
    changes.replace(found, change)
    return change


def begin_root(changes: KeyChanges, new_root: Path, *, reason: str) -> Change:
    """The open change of the root, or a new one to the root whose key file is `new_root`; no secret is read.

    Another new root than the planned one takes its place: the key file of that one may be lost.
    Raises: ConfigInvalid (not a root's key file).
    """
    public = root_public(new_root)
    if public is None:
        raise ConfigInvalid(f"{new_root.name} is not a root's key file", hint="`exchange-agency root new`")
    _, ed25519, mldsa65 = public
    found = changes.open_plan(ROOT)
    if found is not None and found.kid == ed25519.kid:
        return changes.hastened(found, reason)
    change = Change(ROOT, reason, ed25519, (), changes.now(), also=mldsa65)
    changes.replace(found, change)
    return change


def ask(changes: KeyChanges, change: Change) -> RootEvents:
    """What the root is to sign, the same each time it is asked for."""
    if not change.asked:
        events = [changes.new_event(change), *changes.ending_events(change)]
        change = replace(change, asked=tuple(event.to_bytes() for event in events))
        changes.keep(change)
    profile = changes.session.profile
    return RootEvents(
        origin=profile.deployment.origin,
        agency=profile.agency,
        events=tuple(Signed(payload, ()) for payload in change.asked),
        keys=_key_bytes(change),
    )


def ask_log_in(changes: KeyChanges) -> RootEvents:
    """What the root is to sign so that this agency can log in again, with a new OAuth key taken up here.

    For an agency whose OAuth keys are lost, over, or revoked by a thief; an operator carries the signed file.
    The same is asked for each time. Raises: Conflict when the hub lets this agency in, HubUnreachable.
    """
    try:
        changes.look()
    except Unauthorized:
        change = changes.begin(AUTH, COMPROMISED)
    else:
        raise Conflict(
            "this agency can log in",
            rule="logs-in",
            hint="for a stolen key run `exchange-agency keys compromise auth`",
        )
    if not change.asked:
        change = replace(change, asked=(changes.new_event(change).to_bytes(),))
        changes.keep(change)
    profile, event = changes.session.profile, Signed(change.asked[0], ())
    changes.session.directory.note_own(event)
    changes.perform(change, Step.TAKE_UP)
    return RootEvents(profile.deployment.origin, profile.agency, (event,), _key_bytes(change))


def take_signatures(changes: KeyChanges, change: Change, signed: RootEvents) -> Change:
    """Keep the signed events of a change. They are verified here as the directory will verify them.

    Raises: ManifestMismatch (not what was asked), SenderMismatch (a root's signature is missing).
    """
    if tuple(event.payload for event in signed.events) != change.asked:
        raise ManifestMismatch("the file signs something else than was asked", rule="root-asked")
    if any(len(event.signatures) < 2 for event in signed.events):
        raise SenderMismatch("the root has not signed the file", rule="D08-quorum", hint="`root sign` first")
    change = replace(change, events=signed.events)
    changes.keep(change)
    return change


def sign_here(changes: KeyChanges, change: Change, *roots: RootKey) -> Change:
    """Sign with roots at hand: the present one, and a new one first where the root itself is changed."""
    asked = ask(changes, change)
    for root in roots:
        asked = asked.signed_by(root)
    return take_signatures(changes, changes.plan(change.kid), asked)


def _key_bytes(change: Change) -> dict[Kid, bytes]:
    key: PublicKey = change.new if change.also is None else change.also
    return {key.kid: key.raw}
