"""Who must have signed a checkpoint before it is believed: logs, witnesses, a quorum (C2SP tlog-policy).

A policy is a small text file that an auditor writes once and keeps out of the hub's reach. Names in it mean
nothing outside of it; only keys do. It must never be widened by anything that a log or a witness says.

A checkpoint is *witnessed at T* when the quorum is met by cosignatures from T or later: a witness
is as new as its newest cosignature, a group of k as its k-th newest member.

Every `ConfigInvalid` names the line at fault.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from heapq import nlargest
from typing import Final, Self

from exchange.log.checkpoint import Checkpoint, open_checkpoint, parse_vkey
from exchange.log.cosignature import COSIGNATURES_MOST, Cosignature, newest_cosignatures, parse_cosigner
from exchange.log.note import VerifierKey
from exchange_schemas.errors import ConfigInvalid

MAX_BYTES: Final = 256 * 1024
MOST: Final = COSIGNATURES_MOST
"""Logs, witnesses and groups, each."""
NONE: Final = "none"
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SPACE: Final = re.compile(r"[ \t]+")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,3}")


@dataclass(frozen=True, slots=True)
class PolicyKey:
    """A log or a witness: its key, and where it can be reached if that stands in the policy."""

    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Witnessed when `needed` of its members are."""

    needed: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Quorate:
    """Which witnesses of a policy cosigned, and since when its quorum is met.

    `witnessed` without `when`: the policy asks for no witness.
    """

    cosignatures: tuple[Cosignature, ...]
    witnessed: bool
    when: datetime | None


@dataclass(frozen=True, slots=True)
class Judged:
    """A checkpoint that a log of the policy signed, and what its witnesses say of it."""

    checkpoint: Checkpoint
    quorum: Quorate


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy file as it was read."""

    logs: tuple[PolicyKey, ...]
    witnesses: Mapping[str, PolicyKey]
    groups: Mapping[str, Group]
    quorum: str

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a policy file strictly. Raises: ConfigInvalid naming the line."""
        draft = _Draft()
        for number, words in _lines(data):
            try:
                draft.add(words)
            except ConfigInvalid as error:
                raise ConfigInvalid(
                    f"policy, line {number}: {error.message}", field=f"line {number}"
                ) from error
        if draft.quorum is None:
            raise ConfigInvalid("policy: no quorum line", hint="write `quorum none` to ask for no witness")
        return cls(tuple(draft.logs), draft.witnesses, draft.groups, draft.quorum)

    def judge(self, note: str, now: datetime, *, origin: str | None = None) -> Judged:
        """What this policy says of a checkpoint.

        (1) A log of the policy signed it, and it is of that log. (2) Every line of a witness of the policy
        verifies; times more than 120 s ahead of `now` count for nothing. (3) The quorum is met, or not.
        Raises: CheckpointInvalid.
        """
        checkpoint = open_checkpoint(note, [log.key for log in self.logs], origin=origin)
        return Judged(checkpoint, self.judge_cosignatures(note, now))

    def judge_cosignatures(self, note: str, now: datetime) -> Quorate:
        """Steps (2) and (3) alone, for who knows the log's key from elsewhere. Raises: CheckpointInvalid."""
        keys = tuple(witness.key for witness in self.witnesses.values())
        cosigned = newest_cosignatures(note, keys, now)
        if self.quorum == NONE:
            return Quorate(cosigned, witnessed=True, when=None)
        when = self._when(self.quorum, {item.witness: item.when for item in cosigned})
        return Quorate(cosigned, witnessed=when is not None, when=when)

    def _when(self, name: str, times: Mapping[VerifierKey, datetime]) -> datetime | None:
        witness = self.witnesses.get(name)
        if witness is not None:
            return times.get(witness.key)
        group = self.groups[name]
        found = [when for when in (self._when(member, times) for member in group.members) if when is not None]
        return nlargest(group.needed, found)[-1] if len(found) >= group.needed else None


def _lines(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """(number, words) of every line that says something; octets over 0x7F are opaque."""
    if len(data) > MAX_BYTES:
        raise ConfigInvalid(f"policy: longer than {MAX_BYTES} bytes")
    if not data.endswith(b"\n"):
        raise ConfigInvalid("policy: the last line does not end", hint="the file may be cut off")
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), start=1):
        if _CONTROL.search(line) is not None:
            raise ConfigInvalid(f"policy, line {number}: a control character", field=f"line {number}")
        words = [word for word in _SPACE.split(line) if word != ""]
        if words and not words[0].startswith("#"):
            yield number, words


@dataclass(slots=True)
class _Draft:
    """A policy while its lines are read."""

    logs: list[PolicyKey] = field(default_factory=list)
    witnesses: dict[str, PolicyKey] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    quorum: str | None = None
    used: set[str] = field(default_factory=set)

    def add(self, words: list[str]) -> None:
        """One line. Raises: ConfigInvalid."""
        match words:
            case ["log", vkey, *rest]:
                self._add_key(self.logs, vkey, rest, parse_vkey)
            case ["witness", name, vkey, *rest]:
                self._check_new(name)
                found: list[PolicyKey] = [*self.witnesses.values()]
                self._add_key(found, vkey, rest, parse_cosigner)
                self.witnesses[name] = found[-1]
            case ["group", name, threshold, *members]:
                self._check_new(name)
                self.groups[name] = self._group(threshold, members)
            case ["quorum", name]:
                self._set_quorum(name)
            case _:
                raise ConfigInvalid("not a log, witness, group or quorum line")

    def _add_key(
        self, found: list[PolicyKey], vkey: str, rest: list[str], parse: Callable[[str], VerifierKey]
    ) -> None:
        key = parse(vkey)
        if len(rest) > 1:
            raise ConfigInvalid("more than a key and an address")
        if any(one.key.public == key.public for one in found):
            raise ConfigInvalid("the same key stands there twice")
        if len(found) == MOST:
            raise ConfigInvalid(f"more than {MOST} of a kind")
        found.append(PolicyKey(key, rest[0] if rest else None))

    def _group(self, threshold: str, members: list[str]) -> Group:
        if len(self.groups) == MOST:
            raise ConfigInvalid(f"more than {MOST} of a kind")
        for member in members:
            self._check_known(member)
            if member in self.used:
                raise ConfigInvalid("a member of a group stands in a group already")
            self.used.add(member)
        words = {"all": len(members), "any": 1}
        needed = words.get(threshold)
        if needed is None and _NUMBER.fullmatch(threshold) is not None:
            needed = int(threshold)
        if needed is None or not 1 <= needed <= len(members):
            raise ConfigInvalid("the threshold is not all, any, or a number from 1 to that of the members")
        return Group(needed, tuple(members))

    def _set_quorum(self, name: str) -> None:
        if self.quorum is not None:
            raise ConfigInvalid("a second quorum line")
        if name != NONE:
            self._check_known(name)
        self.quorum = name

    def _check_known(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise ConfigInvalid("no line before it defines this witness or group")

    def _check_new(self, name: str) -> None:
        if name == NONE or name in self.witnesses or name in self.groups:
            raise ConfigInvalid("the name is taken")
