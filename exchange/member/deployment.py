"""What a member pins of its deployment, out of band and once: name, address, operators, log keys.

It comes from the file that `exchange-hub deployment export` writes and is never replaced by anything the
hub says later. Nothing here talks to a network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from exchange.log.cosignature import Quorum, cosigner_vkey
from exchange.log.policy import Policy
from exchange_schemas.codec import JsonValue, b64u, decode, encode, unb64u
from exchange_schemas.errors import ConfigInvalid, Malformed
from exchange_schemas.ids import DIGEST_BYTES, Digest, Kid, check_digest, check_kid, check_origin
from exchange_schemas.limits import LIMITS

MAX_BYTES = 64 * 1024
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_MEMBERS = {"origin", "base_url", "governance", "directory_vkey", "audit_vkey"}
_AUDIT_WITNESSES = "witnesses"
_WITNESSES = "directory_witnesses"


@dataclass(frozen=True, slots=True)
class Operator:
    """A named operator's governance key; `key` is the raw Ed25519 public key, 32 bytes."""

    name: str
    kid: Kid
    key: bytes


@dataclass(frozen=True, slots=True)
class AuditWitnesses:
    """Who must have cosigned a checkpoint of the audit log, and the address of each, in the same order."""

    quorum: Quorum
    urls: tuple[str, ...]

    def policy(self, audit_vkey: str) -> Policy:
        """The same as a policy for this log (C2SP tlog-policy). Raises: ConfigInvalid."""
        vkeys = [cosigner_vkey(one.name, one.public) for one in self.quorum.witnesses]
        pairs = enumerate(zip(vkeys, self.urls, strict=True))
        lines = [f"log {audit_vkey}", *(f"witness w{n} {vkey} {url}" for n, (vkey, url) in pairs)]
        names = " ".join(f"w{n}" for n in range(len(vkeys)))
        lines += [f"group named {self.quorum.needed} {names}", "quorum named", ""]
        return Policy.from_bytes("\n".join(lines).encode())


@dataclass(frozen=True, slots=True)
class Deployment:
    """The pins of one deployment. `pin` is the digest of the directory's first event, when it was given.

    `witnesses` is who must have cosigned the directory's checkpoint within a day, `audit_witnesses` who must
    have cosigned the audit log's; None: nobody is named.
    """

    origin: str
    base_url: str
    k: int
    operators: tuple[Operator, ...]
    pin: Digest | None
    directory_vkey: str
    audit_vkey: str
    witnesses: Quorum | None = None
    audit_witnesses: AuditWitnesses | None = None

    @classmethod
    def from_bytes(cls, data: bytes) -> Deployment:
        """Read the exported file. Raises: ConfigInvalid naming the member at fault."""
        try:
            return cls.from_json(decode(data, limit=MAX_BYTES))
        except Malformed as error:
            raise ConfigInvalid(
                f"deployment file: {error.message}",
                field=error.field,
                hint="ask the operator for the file that `exchange-hub deployment export` writes",
            ) from error

    @classmethod
    def from_json(cls, value: Mapping[str, JsonValue]) -> Deployment:
        """The same from decoded JSON. Raises: Malformed, ConfigInvalid."""
        if not _MEMBERS <= set(value) <= {*_MEMBERS, _WITNESSES, _AUDIT_WITNESSES}:
            raise Malformed("deployment: needs exactly origin, base_url, governance and the two log keys")
        k, operators, pin = _governance(value["governance"])
        return cls(
            origin=check_origin(value["origin"]),
            base_url=_base_url(value["base_url"]),
            k=k,
            operators=operators,
            pin=pin,
            directory_vkey=_text(value["directory_vkey"], "directory_vkey"),
            audit_vkey=_text(value["audit_vkey"], "audit_vkey"),
            witnesses=_witnesses(value[_WITNESSES]) if _WITNESSES in value else None,
            audit_witnesses=_audit_witnesses(value[_AUDIT_WITNESSES]) if _AUDIT_WITNESSES in value else None,
        )

    def to_json(self) -> dict[str, JsonValue]:
        """The same members as in the exported file."""
        governance = self.governance_json()
        if self.pin is not None:
            governance["pin"] = self.pin
        members: dict[str, JsonValue] = {
            "origin": self.origin,
            "base_url": self.base_url,
            "governance": governance,
            "directory_vkey": self.directory_vkey,
            "audit_vkey": self.audit_vkey,
        }
        if self.witnesses is not None:
            members[_WITNESSES] = _quorum_json(self.witnesses)
        if self.audit_witnesses is not None:
            urls: list[JsonValue] = list(self.audit_witnesses.urls)
            members[_AUDIT_WITNESSES] = {**_quorum_json(self.audit_witnesses.quorum), "urls": urls}
        return members

    def governance_json(self) -> dict[str, JsonValue]:
        """k and the operators, without the pin."""
        operators: list[JsonValue] = [
            {"name": one.name, "kid": one.kid, "key": b64u(one.key)} for one in self.operators
        ]
        return {"k": self.k, "operators": operators}

    def to_bytes(self) -> bytes:
        """The exported file again."""
        return encode(self.to_json())


def _governance(value: JsonValue) -> tuple[int, tuple[Operator, ...], Digest | None]:
    if not isinstance(value, dict) or not {"k", "operators"} <= set(value) <= {"k", "operators", "pin"}:
        raise Malformed("governance: needs k, operators and pin", field="governance")
    k, operators, pin = value["k"], value["operators"], value.get("pin")
    if not isinstance(operators, list) or not 1 <= len(operators) <= LIMITS.operators_per_deployment:
        raise Malformed("governance: at least one operator is needed", field="governance.operators")
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= len(operators):
        raise Malformed("governance: k must lie between 1 and the number of operators", field="governance.k")
    named = tuple(_operator(one) for one in operators)
    return k, named, None if pin is None else check_digest(pin, field="governance.pin")


def _witnesses(value: JsonValue) -> Quorum:
    if not isinstance(value, dict) or set(value) != {"quorum", "vkeys"}:
        raise Malformed(f"{_WITNESSES}: needs quorum and vkeys", field=_WITNESSES)
    return _quorum(value, _WITNESSES)


def _audit_witnesses(value: JsonValue) -> AuditWitnesses:
    if not isinstance(value, dict) or set(value) != {"quorum", "vkeys", "urls"}:
        raise Malformed(f"{_AUDIT_WITNESSES}: needs quorum, vkeys and urls", field=_AUDIT_WITNESSES)
    quorum, urls = _quorum(value, _AUDIT_WITNESSES), value["urls"]
    if not isinstance(urls, list) or len(urls) != len(quorum.witnesses):
        raise Malformed(f"{_AUDIT_WITNESSES}: one address for each key is needed", field=_AUDIT_WITNESSES)
    return AuditWitnesses(quorum, tuple(_address(item) for item in urls))


def _quorum(value: Mapping[str, JsonValue], name: str) -> Quorum:
    needed, vkeys = value["quorum"], value["vkeys"]
    if isinstance(needed, bool) or not isinstance(needed, int) or not isinstance(vkeys, list):
        raise Malformed(f"{name}: a number and a list of keys are needed", field=name)
    return Quorum.of(needed, [_text(item, name) for item in vkeys])


def _quorum_json(quorum: Quorum) -> dict[str, JsonValue]:
    vkeys: list[JsonValue] = [cosigner_vkey(one.name, one.public) for one in quorum.witnesses]
    return {"quorum": quorum.needed, "vkeys": vkeys}


def _address(value: JsonValue) -> str:
    """A witness's address: https, or on this machine; one word, since a policy has it on one line."""
    text = _text(value, _AUDIT_WITNESSES)
    if not text.isascii() or " " in text or not _is_safe(text):
        raise Malformed(f"{_AUDIT_WITNESSES}: an https address is needed", field=_AUDIT_WITNESSES)
    return text


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK))


def _operator(value: JsonValue) -> Operator:
    if not isinstance(value, dict) or set(value) != {"name", "kid", "key"}:
        raise Malformed("governance: an operator needs name, kid and key", field="governance.operators")
    key = _text(value["key"], "governance.operators")
    return Operator(
        name=_text(value["name"], "governance.operators"),
        kid=check_kid(value["kid"], field="governance.operators"),
        key=unb64u(key, field="governance.operators", length=DIGEST_BYTES),
    )


def _base_url(value: JsonValue) -> str:
    text = _text(value, "base_url")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise Malformed("base_url: an address is needed", field="base_url") from None
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        if parts.hostname and not (parts.query or parts.fragment or parts.username or text.endswith("/")):
            return text
        raise Malformed(
            "base_url: an address without user, query and closing slash is needed", field="base_url"
        )
    raise ConfigInvalid(
        "base_url: https is needed (http only for a hub on this machine)",
        field="base_url",
        hint="ask the operator for the address that begins with https://",
    )


def _text(value: JsonValue, field: str) -> str:
    if isinstance(value, str) and 1 <= len(value) <= 1000 and value.isprintable():
        return value
    raise Malformed(f"{field}: a text is needed", field=field)
