"""A witness's decisions over its durable state: one submission at a time, remembered before it is answered.

It must never answer with a cosignature that a crash could make it forget, and never let its own clock go
back: a cosignature says "this was the largest tree I had seen at that time".
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Final

from exchange.auditor.witness.store import WitnessKey, WitnessStore
from exchange.log.checkpoint import Checkpoint
from exchange.log.cosignature import cosign
from exchange.log.note import join_note, signature_line, split_note
from exchange.log.witnessing import SIZE_TYPE, Submission, check_submission, origin_hash, refusal_status
from exchange_schemas.errors import ConfigInvalid, Conflict, ExchangeError, StorageFull

TEXT: Final = "text/plain; charset=utf-8"
_BEGINNING: Final = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    status: int
    body: bytes
    content_type: str = TEXT


class Witness:
    """Cosigns for the logs of a store; `now` is the clock."""

    def __init__(
        self,
        store: WitnessStore,
        key: WitnessKey,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Reads and verifies the state of every log. Raises: LogIncomplete, ConfigInvalid."""
        self._store = store
        self._key = key
        self._now = now
        self._logs = store.logs()
        self._lock = Lock()
        found = [store.latest(origin, keys, key) for origin, keys in self._logs.items()]
        known = [item for item in found if item is not None]
        self._latest = {item.checkpoint.origin: item.checkpoint for item in known}
        self._cosigned_at = max((item.when for item in known), default=_BEGINNING)
        self._names = {origin_hash(origin): origin for origin in self._logs}

    def add_checkpoint(self, body: bytes) -> Reply:
        """POST add-checkpoint: 200 with the cosignature, or the refusal that the protocol names."""
        try:
            submission = Submission.from_bytes(body)
            with self._lock:
                checkpoint = check_submission(submission, self._logs, self._latest.get)
                line = self._cosign(checkpoint, submission.note)
        except Conflict as error:
            return Reply(409, f"{error.detail['size']}\n".encode(), SIZE_TYPE)
        except (StorageFull, ConfigInvalid):
            return Reply(503, b"the witness cannot write its state\n")
        except ExchangeError as error:
            return Reply(refusal_status(error), f"{error.message}\n".encode())
        return Reply(200, line.encode())

    def checkpoint(self, name: str) -> Reply:
        """GET <origin hash>/checkpoint: the newest cosigned checkpoint of a log, or 404."""
        origin = self._names.get(name)
        try:
            note = None if origin is None else self._store.latest_note(origin)
        except ExchangeError:
            return Reply(503, b"the witness cannot read its state\n")
        if note is None:
            return Reply(404, b"nothing was cosigned for this log\n")
        return Reply(200, note.encode())

    def _cosign(self, checkpoint: Checkpoint, note: str) -> str:
        when = max(self._now(), self._cosigned_at)
        line = cosign(note, self._key.key, self._key.name, when)
        self._store.remember(checkpoint.origin, self._own_note(checkpoint.origin, note, line))
        self._cosigned_at = when
        self._latest[checkpoint.origin] = checkpoint
        return line

    def _own_note(self, origin: str, note: str, line: str) -> str:
        """The checkpoint with the verified lines only: the log's and this witness's."""
        text, lines = split_note(note)
        known = {(key.name, key.key_id) for key in self._logs[origin]}
        kept = [one for one in lines if (one.name, one.key_id) in known]
        return join_note(text, [*(signature_line(one.name, one.key_id, one.signature) for one in kept), line])
