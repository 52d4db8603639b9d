"""What an offline root is asked to sign, as a file that travels on a stick, and what it gives back.

Two files, strict JSON. `hx-root-events`: events of the key directory about one agency with the bytes of
their new keys, and the signatures so far. `hx-enrol-request`: what an enrolment bundle is to say. What a file
does is always read from the bytes that will be signed, never from a description beside them. A root signs
root-set, key, drain and revoke events of its own agency, and its enrolment; nothing else may be in a file.
Nothing here talks to a network or opens an agency's folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from exchange.directory.enrolment import NewKey, build_bundle, fingerprint
from exchange.directory.events import read_key_bytes
from exchange.directory.signers import TYP
from exchange.member.files import read_bounded, write_private
from exchange.member.profile import Profile
from exchange_keys.jws import Signed, sign
from exchange_keys.public import ED25519, ML_DSA_65, PublicKey
from exchange_keys.registration import check_key_for_use
from exchange_keys.root import RootKey, root_digest
from exchange_schemas.codec import JsonValue, b64u, decode, encode, format_time, parse_time, unb64u
from exchange_schemas.errors import Conflict, Malformed, SenderMismatch
from exchange_schemas.event import DrainEvent, KeyEvent, RevokeEvent, RootSetEvent, read_event
from exchange_schemas.ids import AgencyId, Digest, Kid, check_agency, check_origin
from exchange_schemas.limits import LIMITS

EVENTS_TYP: Final = "hx-root-events"
ENROL_TYP: Final = "hx-enrol-request"
FILE_BYTES: Final = 512 * 1024
_VERSION: Final = 1
_EVENTS_MOST: Final = 32
_DEPTH: Final = 12
RootEvent = KeyEvent | DrainEvent | RevokeEvent | RootSetEvent


@dataclass(frozen=True, slots=True)
class RootEvents:
    """Events to be signed or signed in part; `keys` are the raw new keys that they name, by kid."""

    origin: str
    agency: AgencyId
    events: tuple[Signed, ...]
    keys: Mapping[Kid, bytes]

    def facts(self) -> list[dict[str, JsonValue]]:
        """Each event in words, from the bytes that are signed. Raises: Malformed, SenderMismatch."""
        return [facts_of(event) for event in self.checked()]

    def checked(self) -> tuple[RootEvent, ...]:
        """The events, once each is seen to be one that this agency's root may sign, with a key that works.

        Raises: Malformed, KeyWrongUse, SenderMismatch (of another agency or deployment, or the operators').
        """
        found = []
        for signed in self.events:
            event = read_event(signed.payload)
            if not isinstance(event, KeyEvent | DrainEvent | RevokeEvent | RootSetEvent) or (
                event.agency,
                event.origin,
            ) != (self.agency, self.origin):
                raise SenderMismatch("events: not one that this agency's root may sign", field="events")
            self._check_key(event)
            found.append(event)
        return tuple(found)

    def signed_by(self, root: RootKey) -> RootEvents:
        """The same with both signatures of one more root under every event. Raises: Conflict (again)."""
        self.checked()
        kids = {key.kid for key in root.publics}
        if any(item.kid in kids for signed in self.events for item in signed.signatures):
            raise Conflict("this root has signed the file already")
        events = (
            Signed(one.payload, (*one.signatures, *sign(one.payload, TYP, root.signers).signatures))
            for one in self.events
        )
        return replace(self, events=tuple(events))

    def _check_key(self, event: RootEvent) -> None:
        """A new key has its bytes, is the one named, fits its use and works."""
        if isinstance(event, KeyEvent):
            named, use, public = event.kid, event.use, PublicKey(event.alg, self._raw(event.kid))
        elif isinstance(event, RootSetEvent):
            check_key_for_use("root", PublicKey(ED25519, event.ed25519))
            named, use, public = event.mldsa65, "root", PublicKey(ML_DSA_65, self._raw(event.mldsa65))
        else:
            return
        if public.kid != named:
            raise Malformed("keys: not the bytes of the key that the event names", field="keys")
        check_key_for_use(use, public)

    def _raw(self, kid: Kid) -> bytes:
        raw = self.keys.get(kid)
        if raw is None:
            raise Malformed("keys: the bytes of a new key are missing", field="keys")
        return raw

    def write(self, path: Path) -> None:
        """Write the file. Raises: StorageFull, ConfigInvalid."""
        members: dict[str, JsonValue] = {
            "v": _VERSION,
            "typ": EVENTS_TYP,
            "origin": self.origin,
            "agency": self.agency,
            "events": [one.to_json() for one in self.events],
            "keys": {str(kid): b64u(raw) for kid, raw in self.keys.items()},
        }
        write_private(path, encode(members, depth=_DEPTH) + b"\n")


@dataclass(frozen=True, slots=True)
class EnrolRequest:
    """What an enrolment bundle is to say, but for the root: the agency in words, and its first keys."""

    origin: str
    iat: datetime
    agency: AgencyId
    name: str
    kind: str
    country: str
    public_authority: bool
    contact: str
    keys: tuple[NewKey, ...]

    @classmethod
    def of(cls, profile: Profile, keys: Sequence[NewKey], iat: datetime) -> EnrolRequest:
        """For an agency's description and its first keys."""
        return cls(
            origin=profile.deployment.origin,
            iat=iat,
            agency=profile.agency,
            name=profile.name,
            kind=profile.kind,
            country=profile.country,
            public_authority=profile.public_authority,
            contact=profile.contact,
            keys=tuple(keys),
        )

    def facts(self) -> list[dict[str, JsonValue]]:
        """What the bundle says, in words."""
        told: dict[str, JsonValue] = {
            "enrols": self.agency,
            "origin": self.origin,
            "name": self.name,
            "kind": self.kind,
            "country": self.country,
            "public_authority": self.public_authority,
            "contact": self.contact,
            "signed_at": format_time(self.iat),
        }
        return [told, *(_key_facts(key) for key in self.keys)]

    def signed_by(self, root: RootKey) -> Signed:
        """The bundle. Raises: Malformed, KeyWrongUse."""
        for key in self.keys:
            check_key_for_use(key.use, key.public)
        return build_bundle(
            origin=self.origin,
            iat=self.iat,
            agency=self.agency,
            name=self.name,
            kind=self.kind,
            country=self.country,
            public_authority=self.public_authority,
            contact=self.contact,
            root=root,
            keys=self.keys,
        )

    def write(self, path: Path) -> None:
        """Write the file. Raises: StorageFull, ConfigInvalid."""
        members: dict[str, JsonValue] = {
            "v": _VERSION,
            "typ": ENROL_TYP,
            "origin": self.origin,
            "iat": format_time(self.iat),
            "agency": self.agency,
            "name": self.name,
            "kind": self.kind,
            "country": self.country,
            "public_authority": self.public_authority,
            "contact": self.contact,
            "keys": [_write_key(key) for key in self.keys],
        }
        write_private(path, encode(members) + b"\n")


def read_request(path: Path) -> RootEvents | EnrolRequest:
    """Read a file of either sort. Raises: ConfigInvalid (not there, too long), Malformed."""
    data = read_bounded(path, limit=FILE_BYTES, what=path.name)
    value = decode(data.removesuffix(b"\n"), limit=FILE_BYTES, depth=_DEPTH)
    if value.get("v") != _VERSION:
        raise Malformed(f"{path.name}: a file of another version", field="v")
    try:
        if value["typ"] == EVENTS_TYP:
            return _read_events(value)
        if value["typ"] == ENROL_TYP:
            return _read_enrolment(value)
    except (KeyError, TypeError):
        pass
    raise Malformed(f"{path.name}: nothing that a root is asked to sign", field="typ")


def facts_of(event: RootEvent) -> dict[str, JsonValue]:
    """An event in words."""
    facts: dict[str, JsonValue] = {"event": event.event, "agency": event.agency, "origin": event.origin}
    if isinstance(event, RootSetEvent):
        facts["new_root_ed25519"] = fingerprint(Digest(PublicKey(ED25519, event.ed25519).kid))
        facts["new_root_mldsa65"] = fingerprint(Digest(event.mldsa65))
    elif isinstance(event, KeyEvent):
        facts |= {
            "use": event.use,
            "alg": event.alg,
            "key": fingerprint(Digest(event.kid)),
            "from": format_time(event.nbf),
            "to": format_time(event.exp),
        }
        if event.holder is not None:
            facts["holder"] = event.holder
    else:
        facts["key"] = fingerprint(Digest(event.kid))
        if isinstance(event, DrainEvent):
            facts["until"] = format_time(event.until)
        else:
            facts["reason"] = event.reason
    facts["signed_at"] = format_time(event.iat)
    return facts


def root_fingerprint(ed25519: bytes, mldsa65: bytes) -> str:
    """A root's fingerprint for reading aloud. Raises: Malformed."""
    return fingerprint(root_digest(ed25519, mldsa65))


def _key_facts(key: NewKey) -> dict[str, JsonValue]:
    facts: dict[str, JsonValue] = {
        "use": key.use,
        "alg": key.public.alg,
        "key": fingerprint(Digest(key.public.kid)),
        "from": format_time(key.nbf),
        "to": format_time(key.exp),
    }
    return facts if key.holder is None else {**facts, "holder": key.holder}


def _write_key(key: NewKey) -> dict[str, JsonValue]:
    return {
        "use": key.use,
        "alg": key.public.alg,
        "key": b64u(key.public.raw),
        "nbf": format_time(key.nbf),
        "exp": format_time(key.exp),
        "holder": key.holder,
    }


def _read_events(value: Mapping[str, JsonValue]) -> RootEvents:
    listed, keys = value["events"], value["keys"]
    if not isinstance(listed, list) or not 1 <= len(listed) <= _EVENTS_MOST or not isinstance(keys, dict):
        raise Malformed("events: a list of events and their keys are needed", field="events")
    return RootEvents(
        origin=check_origin(value["origin"]),
        agency=check_agency(value["agency"], field="agency"),
        events=tuple(_read_event(one) for one in listed),
        keys=read_key_bytes(keys),
    )


def _read_event(value: JsonValue) -> Signed:
    if isinstance(value, dict) and value.get("signatures") == []:
        return Signed(unb64u(value["payload"], field="payload", limit=LIMITS.event_bytes), ())
    return Signed.from_json(value, LIMITS.event_bytes)


def _read_enrolment(value: Mapping[str, JsonValue]) -> EnrolRequest:
    keys, public = value["keys"], value["public_authority"]
    if not isinstance(keys, list) or len(keys) > _EVENTS_MOST or not isinstance(public, bool):
        raise Malformed("keys: a list of keys is needed", field="keys")
    return EnrolRequest(
        origin=check_origin(value["origin"]),
        iat=parse_time(value["iat"], field="iat"),
        agency=check_agency(value["agency"], field="agency"),
        name=str(value["name"]),
        kind=str(value["kind"]),
        country=str(value["country"]),
        public_authority=public,
        contact=str(value["contact"]),
        keys=tuple(_read_key(one) for one in keys),
    )


def _read_key(value: JsonValue) -> NewKey:
    if not isinstance(value, dict):
        raise Malformed("keys: an object is needed", field="keys")
    holder = value["holder"]
    raw = unb64u(value["key"], field="keys", limit=LIMITS.public_key_bytes)
    return NewKey(
        use=str(value["use"]),
        public=PublicKey(str(value["alg"]), raw),
        nbf=parse_time(value["nbf"], field="nbf"),
        exp=parse_time(value["exp"], field="exp"),
        holder=None if holder is None else str(holder),
    )
