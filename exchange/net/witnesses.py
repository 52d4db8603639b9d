"""Talking to witnesses over HTTP (C2SP tlog-witness): submit a checkpoint, ask for the newest cosigned one.

For whoever publishes a log, and for auditors who ask witnesses what the hub may not show. Answers are bounded
and believed by nobody: a policy verifies them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from exchange.log.note import NOTE_BYTES
from exchange.log.witnessing import (
    ADD_CHECKPOINT,
    AskWitness,
    Cosigned,
    Submission,
    WitnessSize,
    origin_hash,
    read_answer,
)
from exchange.net.wire import Answer, Call, Wire
from exchange_schemas.errors import HubRefused, HubUnreachable


@contextmanager
def asking() -> Iterator[AskWitness]:
    """Asks witnesses over one wire, which is closed at the end."""
    wire = Wire()
    try:
        yield lambda url, origin: WitnessClient(url, wire).latest(origin)
    finally:
        wire.close()


@dataclass(frozen=True, slots=True)
class WitnessClient:
    """One witness at `url`, its submission and monitoring prefix."""

    url: str
    wire: Wire

    def submit(self, submission: Submission) -> Cosigned | WitnessSize:
        """Ask for a cosignature. Raises: HubUnreachable; what `read_answer` raises."""
        body = submission.to_bytes()
        answer = self._send(
            Call(
                "POST",
                f"{self.url.rstrip('/')}/{ADD_CHECKPOINT}",
                headers=lambda: {"Content-Type": "text/plain; charset=utf-8"},
                body=lambda: body,
            )
        )
        content_type = answer.headers.get("Content-Type", "")
        return read_answer(answer.status, content_type, answer.body, submission.note)

    def latest(self, origin: str) -> str | None:
        """The newest checkpoint of this log that the witness cosigned, a note; None when there is none.

        Raises: HubUnreachable, HubRefused.
        """
        answer = self._send(
            Call("GET", f"{self.url.rstrip('/')}/{origin_hash(origin)}/checkpoint", headers=dict)
        )
        if answer.status == 404:
            return None
        if answer.status != 200 or len(answer.body) > NOTE_BYTES:
            raise HubRefused(f"the witness at {self.url} answered {answer.status}")
        try:
            return answer.body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise HubRefused(f"the witness at {self.url} answered with no text") from error

    def _send(self, call: Call) -> Answer:
        try:
            return self.wire.send(call)
        except HubUnreachable as error:
            raise HubUnreachable(f"the witness at {self.url} cannot be reached in time") from error
        except HubRefused as error:
            raise HubRefused(f"the witness at {self.url} answers with a redirect, or endlessly") from error
