"""One entry of the audit log: what was answered, to whom, about which fields, and whether it was allowed.

An entry holds no identifier of a child and no value of a record; `cns` and `rec` are salted commitments.
Strict JSON in canonical form (sorted members, no spaces), so that a leaf has exactly one spelling.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any, ClassVar, Self

from exchange_schemas.codec import MAX_INT, JsonValue, decode, encode
from exchange_schemas.errors import EntryInvalid, Malformed
from exchange_schemas.ids import AgencyId, Digest
from exchange_schemas.limits import LIMITS
from exchange_schemas.members import Code, ListOf, Member, Pattern, Whole, agency, digest, origin, random_id
from exchange_schemas.payload import (
    VERSION,
    StrictSchema,
    check_version,
    members_of,
    read_members,
    write_members,
)
from exchange_schemas.text_rules import refuse

MAX_TS_US = MAX_INT
VITAL = "vital-interest"
"""The `pol` of the entry of a consent that rests on vital interest."""
CARRIED = "carried:"
"""Begins the `pol` of what a courier did: the office that it was for; the rule comes behind a slash."""
_NAME = "[a-z][a-z0-9_]{1,39}"
_TAG = "[A-Za-z0-9][A-Za-z0-9_.:@/-]{0,79}"


def carried_for(office: AgencyId, pol: str | None) -> str:
    """What `pol` says where a courier acted for `office`."""
    return f"{CARRIED}{office}" if pol is None else f"{CARRIED}{office}/{pol}"


class Act(StrEnum):
    """Everything that is logged, as `noun:verb`. A value is never reused; new ones go last."""

    TOKEN_ISSUE = "token:issue"
    TOKEN_REVOKE = "token:revoke"
    REQUEST_REFUSE = "request:refuse"
    REQUEST_COUNT = "request:count"
    DIRECTORY_READ = "directory:read"
    DIRECTORY_APPEND = "directory:append"
    KEY_READ = "key:read"
    CONSENT_REGISTER = "consent:register"
    CONSENT_LIST = "consent:list"
    CONSENT_READ = "consent:read"
    CONSENT_WITHDRAW = "consent:withdraw"
    PART_UPLOAD = "part:upload"
    PART_FETCH = "part:fetch"
    ENVELOPE_DEPOSIT = "envelope:deposit"
    INBOX_LIST = "inbox:list"
    GRANT_FETCH = "grant:fetch"
    RECEIPT_SUBMIT = "receipt:submit"
    OUTBOX_LIST = "outbox:list"
    OUTBOX_HEADS = "outbox:heads"
    AUDIT_PULL = "audit:pull"
    AUDIT_READ = "audit:read"
    HUB_INIT = "hub:init"
    HUB_START = "hub:start"
    HUB_CHECK = "hub:check"
    HUB_RECOVER = "hub:recover"
    OPERATOR_ADD = "operator:add"
    OPERATOR_REMOVE = "operator:remove"
    AGENCY_ADMIT = "agency:admit"
    AGENCY_SUSPEND = "agency:suspend"
    AGENCY_RESUME = "agency:resume"
    AGENCY_EXPEL = "agency:expel"
    KEY_ROTATE = "key:rotate"
    KEY_REVOKE = "key:revoke"
    WITHDRAWAL_REPLAY = "withdrawal:replay"
    GRANT_EXPIRE = "grant:expire"
    DISCLOSURE_ERASE = "disclosure:erase"
    CONSENT_CHECK = "consent:check"
    DISCLOSURE_NOTE = "disclosure:note"
    SLICE_HEADS = "slice:heads"
    DISCLOSURE_READ = "disclosure:read"
    AUDITOR_ACCREDIT = "auditor:accredit"
    WEBHOOK_SET = "webhook:set"
    WEBHOOK_READ = "webhook:read"
    WEBHOOK_REMOVE = "webhook:remove"
    WEBHOOK_RENEW = "webhook:renew"
    WEBHOOK_REPLAY = "webhook:replay"
    AGREEMENTS_SET = "agreements:set"
    RETENTION_DESTROY = "retention:destroy"
    NOTICE_LIST = "notice:list"


OUTCOMES = ("allow", "deny", "error")


class EntrySchema(StrictSchema):
    """The members of an entry, in their canonical (sorted) order."""

    act = Code([act.value for act in Act])
    cns = digest(required=False)
    fld = ListOf(Pattern(_NAME, "a field's name"), most=LIMITS.fields_per_entry, in_order=True)
    id = random_id()
    knd = Pattern(_NAME, "a kind's name", required=False)
    log = origin()
    opr = Pattern(_TAG, "an operator's name", required=False)
    org = agency(required=False)
    out = Code(OUTCOMES)
    own = ListOf(agency(), most=LIMITS.parties_per_entry, in_order=True)
    pol = Pattern(_TAG, "a rule's tag", required=False)
    pur = Pattern(_NAME, "a purpose", required=False)
    rec = digest(required=False)
    req = digest(required=False)
    rsn = Pattern("[A-Z][A-Z0-9_]{1,39}", "an error code", required=False)
    ts = Whole(0, MAX_TS_US)
    v = Whole(VERSION, VERSION)

    @staticmethod
    def whole(values: Mapping[str, Any]) -> None:
        if ("rsn" in values) is (values["out"] == "allow"):
            refuse("rsn", "reason", "a reason is needed unless the outcome is allow, and then there is none")
        if "org" in values and values["org"] not in values["own"]:
            refuse("own", "parties", "the acting agency must be one of the parties")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One audit entry (audit.md, "Entry"); the attribute names are the members' names.

    `log`: origin of the audit log. `id`: 16 random bytes. `ts`: microseconds since 1970. `act`, `out`, `rsn`:
    what was done, the outcome, the error code of a refusal. `org`: the acting agency, None for operators and
    for unauthenticated callers. `own`: all parties, sorted. `knd`, `fld`, `pur`: kind, field names, purpose.
    `cns`, `rec`: commitments to consent family and envelope. `req`: digest of the caller's DPoP proof.
    `pol`: the tag of the rule that decided, the sharing agreements it was under. `opr`: the operator.
    """

    log: str
    id: str
    ts: int
    act: Act
    out: str
    own: tuple[AgencyId, ...] = ()
    fld: tuple[str, ...] = ()
    rsn: str | None = None
    org: AgencyId | None = None
    knd: str | None = None
    pur: str | None = None
    cns: Digest | None = None
    rec: Digest | None = None
    req: Digest | None = None
    pol: str | None = None
    opr: str | None = None

    v: ClassVar[int] = VERSION
    SCHEMA: ClassVar[type[StrictSchema]] = EntrySchema
    LIMIT: ClassVar[int] = LIMITS.entry_bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read an entry's bytes. Raises: Malformed, VersionUnsupported."""
        members: Mapping[str, JsonValue] = decode(data, limit=cls.LIMIT)
        check_version(members)
        values = read_members(cls.SCHEMA, members)
        del values["v"]
        values["act"] = Act(values["act"])
        return cls(**values)

    def to_bytes(self) -> bytes:
        """The canonical bytes, the leaf of the log. Raises: Malformed."""
        # The plain text: the encoder walks anything else by hand.
        members = {**write_members(self.SCHEMA, self), "act": self.act.value}
        data = encode(members, limit=self.LIMIT)
        # The quick reader takes the log's name for granted.
        members_of(self.SCHEMA)["log"].read(self.log, "log")
        try:
            check_canonical(data, log=self.log)
        except EntryInvalid:
            # Which rule it breaks, named.
            read_members(self.SCHEMA, members)
            raise Malformed("the entry has no canonical form") from None
        return data


def _spelling(member: Member) -> str:
    """A regular expression of the member's canonical JSON; entries need no escapes, so there is one."""
    if isinstance(member, ListOf):
        item = _spelling(member.item)
        return rf"\[(?:{item}(?:,{item}){{0,{member.most - 1}}})?\]"
    if isinstance(member, Pattern):
        return f'"(?:{member.pattern})"'
    if isinstance(member, Code):
        return f'"(?:{"|".join(sorted(member.codes))})"'
    if isinstance(member, Whole) and member.least == member.most:
        return str(member.least)
    return "(?:0|[1-9][0-9]{0,15})"


@cache
def _canonical() -> re.Pattern[bytes]:
    parts: list[str] = []
    for name, member in members_of(EntrySchema).items():
        # The first member is always there, so every other one brings its comma.
        text = f'{"," if parts else ""}"{name}":(?P<{name}>{_spelling(member)})'
        parts.append(text if member.required else f"(?:{text})?")
    return re.compile(("{" + "".join(parts) + "}").encode("ascii"))


def check_canonical(data: bytes, *, log: str) -> int:
    """That `data` is one entry of the log `log`, in canonical form, with every rule kept; gives its `ts`.

    For an auditor's pass over millions of entries: one regular expression built from the schema. It accepts
    exactly what `Entry.from_bytes` accepts and `to_bytes` writes (a test holds them together).
    Raises: EntryInvalid.
    """
    return entry_reader(log)(data)


def ts_of(data: bytes) -> int:
    """The time of an entry that is known to be canonical, read without decoding all of it.

    Raises: EntryInvalid when there is none.
    """
    # `ts` is the last member but one, and no text before it can hold a quote.
    match = _TS.search(data, max(0, len(data) - _TAIL))
    if match is None:
        raise EntryInvalid("the entry has no time", field="ts")
    return int(match[1])


_TS = re.compile(rb'"ts":([0-9]{1,16})[,}]')
_TAIL = 64


@lru_cache(maxsize=16)
def entry_reader(log: str) -> Callable[[bytes], int]:
    """`check_canonical` for one log, without looking the log up for every entry."""
    fullmatch = canonical_pattern(log).fullmatch
    longest, latest = LIMITS.entry_bytes, str(MAX_TS_US).encode("ascii")

    def read(data: bytes) -> int:
        match = fullmatch(data)
        if match is None or len(data) > longest:
            raise _diagnosis(data, log)
        fld, who, _refused, ts = match.groups()
        if not fields_hold(fld) or parties_spelled(who) is None:
            raise _diagnosis(data, log)
        if len(ts) == len(latest) and ts > latest:
            raise _diagnosis(data, log)
        return int(ts)

    return read


@cache
def canonical_pattern(log: str) -> re.Pattern[bytes]:
    """The canonical form of the log's entries, to be matched in full; its groups: fld, who, refused, ts.

    `who` is all that stands from the acting agency to the parties. What the pattern leaves open, the caller
    must check: `fields_hold` of fld, `parties_spelled` of who, ts, the length.
    """
    special = {
        "fld": r"(?P<fld>\[[^\]]*+\])",
        "log": re.escape(f'"{log}"'),
        "out": f'"(?:{OUTCOMES[0]}|(?P<refused>{"|".join(OUTCOMES[1:])}))"',
        "own": r"\[[^\]]*+\]",
        "ts": f"(?P<ts>{_spelling(members_of(EntrySchema)['ts'])})",
    }
    parts: dict[str, str] = {}
    for name, member in members_of(EntrySchema).items():
        text = f'{"," if parts else ""}"{name}":{special.get(name, _spelling(member))}'
        if name == "rsn":
            text = f"(?(refused){text}|)"
        elif not member.required:
            text = f"(?:{text})?+"
        parts[name] = text
    parts["org"], parts["own"] = f"(?P<who>{parts['org']}", f"{parts['own']})"
    return re.compile(("{" + "".join(parts.values()) + "}").encode("ascii"))


class _Parties(dict[bytes, tuple[str, ...] | None]):
    """The parties by how they are spelled; all are forgotten when there are too many.

    Looked up for each of millions of entries, which costs half of a cache that keeps the order of use.
    """

    def __missing__(self, who: bytes) -> tuple[str, ...] | None:
        if len(self) >= _MOST_REMEMBERED:
            self.clear()
        acting, _, own = who.partition(b',"own":')
        # An agency comes with its quotes, so that none is found within another.
        org = _ORG.match(acting)
        holds = _list_holds("own", own) and (org is None or org[1] in own)
        names = own[2:-2].decode("ascii").split('","') if holds and own != b"[]" else ()
        self[who] = found = tuple(map(sys.intern, names)) if holds else None
        return found


_MOST_REMEMBERED = 16_384
_ORG = re.compile(rb',"org":("[^"]*")')

parties_spelled: Callable[[bytes], tuple[str, ...] | None] = _Parties().__getitem__
"""The parties that an entry names, by the group `who` of its form; None where it breaks a rule."""


@lru_cache(maxsize=4096)  # the same fields come again and again
def fields_hold(spelled: bytes) -> bool:
    """Whether the list of fields, as it is spelled in an entry, keeps its rules."""
    return _list_holds("fld", spelled)


def _list_holds(name: str, spelled: bytes) -> bool:
    return _list_pattern(name).fullmatch(spelled) is not None and _strictly_sorted(spelled)


@cache
def _list_pattern(name: str) -> re.Pattern[bytes]:
    return re.compile(_spelling(members_of(EntrySchema)[name]).encode("ascii"))


def _diagnosis(data: bytes, log: str) -> EntryInvalid:
    """Which rule an entry breaks that the fast way refused."""
    match = _canonical().fullmatch(data) if len(data) <= LIMITS.entry_bytes else None
    if match is None:
        return EntryInvalid("the entry is not in canonical form")
    of_log, ts, own, fld, rsn, out = match.group("log", "ts", "own", "fld", "rsn", "out")
    if of_log[1:-1] != log.encode():
        return EntryInvalid("the entry belongs to another log", field="log")
    if int(ts) > MAX_TS_US:
        return EntryInvalid("the entry's time is out of range", field="ts")
    if not (_strictly_sorted(own) and _strictly_sorted(fld)):
        return EntryInvalid("a list of the entry is not sorted")
    if (rsn is None) is not (out == b'"allow"'):
        return EntryInvalid("a reason is needed unless the outcome is allow", field="rsn")
    return EntryInvalid("the acting agency is not one of the entry's parties", field="own")


def _strictly_sorted(spelled: bytes) -> bool:
    if b"," not in spelled:
        return True
    # Names and agency ids are ASCII without quotes or commas, so their bytes sort as they do.
    items = spelled[2:-2].split(b'","')
    return items == sorted(set(items))
