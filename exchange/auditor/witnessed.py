"""Ask the witnesses of a policy what they cosigned, so that a hub cannot show an auditor less than them.

A checkpoint that a witness holds is evidence like the hub's own: it must be a prefix of the copy. One of a
larger tree than the hub shows, even when asked again, means that the log has lost entries or that this
auditor is shown another log than everybody else.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from exchange.auditor.mirror import Mirror
from exchange.auditor.partial import Partial
from exchange.auditor.partial import Source as PartSource
from exchange.auditor.pull import Pulled, Source, keep_seen, public_checkpoint
from exchange.log.checkpoint import open_checkpoint
from exchange.log.cosignature import newest_cosignatures
from exchange.log.policy import Policy
from exchange.log.witnessing import AskWitness
from exchange_schemas.errors import CheckpointInvalid, ExchangeError, LogFork


@dataclass(frozen=True, slots=True)
class Asked:
    """How many witnesses gave a checkpoint, and which could not be used, each with the reason."""

    answered: int
    silent: tuple[str, ...]


def pull_with_witnesses(
    pull: Callable[[], Pulled],
    mirror: Mirror,
    source: Source,
    vkey: str,
    *,
    policy: Policy,
    ask: AskWitness,
    now: datetime,
) -> tuple[Pulled, Asked]:
    """Pull, then keep what the hub's public checkpoint and the policy's witnesses say of the log.

    Raises: LogFork when one of them contradicts the copy (forked), or when the hub shows fewer entries than
    a witness cosigned (rolled-back); what `pull` raises.
    """
    pulled = pull()
    keep_seen(mirror, public_checkpoint(source), vkey)
    notes, silent = _answers(policy, vkey, ask, now)
    ahead = _keep_all(mirror, notes, vkey)
    if ahead:
        # Entries may have come between the pull and the question: the hub may catch up once.
        pulled = pull()
        ahead = _keep_all(mirror, ahead, vkey)
    for note in ahead:
        raise _lost(mirror, note, vkey)
    return pulled, Asked(len(notes), tuple(silent))


def see_for_part(
    part: Partial,
    source: PartSource,
    vkey: str,
    *,
    policy: Policy | None,
    ask: AskWitness,
    now: datetime,
) -> Asked | None:
    """Hold the hub's public checkpoint, and what the policy's witnesses cosigned, against a part of the log.

    None without a policy. Raises: LogFork when one of them does not fit in (forked), or when the hub shows
    fewer entries than a witness cosigned (rolled-back).
    """
    part.see(source, public_checkpoint(source), vkey)
    if policy is None:
        return None
    notes, silent = _answers(policy, vkey, ask, now)
    for note in notes:
        part.see(source, note, vkey)
    return Asked(len(notes), tuple(silent))


def _answers(policy: Policy, vkey: str, ask: AskWitness, now: datetime) -> tuple[list[str], list[str]]:
    origin = vkey.partition("+")[0]
    notes, silent = [], []
    for name, witness in policy.witnesses.items():
        if witness.url is None:
            silent.append(f"{name}: the policy has no address")
            continue
        try:
            note = ask(witness.url, origin)
            if note is not None and not newest_cosignatures(note, [witness.key], now):
                raise CheckpointInvalid("it showed a checkpoint that it did not cosign")
        except ExchangeError as error:
            silent.append(f"{name}: {error.message}")
            continue
        if note is None:
            silent.append(f"{name}: it has cosigned nothing of this log yet")
        else:
            notes.append(note)
    return notes, silent


def _keep_all(mirror: Mirror, notes: Iterable[str], vkey: str) -> list[str]:
    """Keep what the copy reaches; gives the notes of larger trees."""
    size = _size(mirror, vkey)
    return [note for note in notes if keep_seen(mirror, note, vkey).size > size]


def _size(mirror: Mirror, vkey: str) -> int:
    return open_checkpoint(mirror.checkpoint, [vkey]).size


def _lost(mirror: Mirror, note: str, vkey: str) -> LogFork:
    seen = keep_seen(mirror, note, vkey)
    mirror.keep_checkpoint(seen.size, note)
    return LogFork(
        f"a witness cosigned {seen.size} entries of this log, and the hub shows only {_size(mirror, vkey)}",
        field="checkpoint",
        rule="rolled-back",
        hint="tell the other auditors; the cosigned checkpoint is kept beside the copy",
    )
