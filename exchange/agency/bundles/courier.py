"""The side with network: carry an office's bundle to the hub unread, and bring back what waits for it.

States of an office's bundle here: begun → carried. Every answer of the hub is kept before the next request
is made, so that a crash costs at most one request, which the hub answers as the first time. `bring` may be
done again at any time until the office's cover expires; it collects what came since. The courier's program
opens nothing: it has no key to anything that it carries, and the hub lets it do only what the cover allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from exchange.agency.bundles.content import ANSWER, CALL, WANT, Frame, read_frames, write_frame
from exchange.agency.bundles.counting import Counting
from exchange.agency.bundles.file import Making, alone, opened, write_bundle
from exchange.agency.downloading import download
from exchange.agency.model import UNOPENED
from exchange.agency.uploading import OnBytes, upload
from exchange.member.carried import GRANTS, CarriedAnswers, call_id, path_of
from exchange.member.problems import problem_error
from exchange.member.session import Session
from exchange.member.transport import Transport
from exchange.net.wire import ANSWER_BYTES, Answer
from exchange_keys.jws import Signed
from exchange_schemas.bundle import BACK, COURIER_HEADER, OUT, Cover
from exchange_schemas.codec import JsonValue, b64u, decode, encode
from exchange_schemas.errors import (
    BundleExpired,
    BundleForeign,
    ExchangeError,
    Forbidden,
    HubRefused,
    Malformed,
    RecordUnknown,
)
from exchange_schemas.ids import AgencyId, check_agency
from exchange_schemas.limits import LIMITS

MESSAGES = 1000
_OFFICES = "courier_office"
_PAGE = 100
_MAX_PAGES = 10_000
# These are about the courier, or pass: they are no answer to the office.
_NOT_AN_ANSWER = (401, 429)
_OF_THE_COURIER = "courier-"
_CALLS = {"POST": ("/v1/consents", "/v1/envelopes", GRANTS, "/v1/disclosures"), "PUT": ("/v1/parts/",)}


@dataclass(frozen=True, slots=True)
class Carried:
    """What became of an office's bundle: how many requests the hub took, and how many it refused."""

    cover: Cover
    again: bool
    taken: int
    refused: int


@dataclass(frozen=True, slots=True)
class Courier:
    """Use `Client.courier`."""

    session: Session
    on_bytes: OnBytes

    def carry(self, path: Path) -> Carried:
        """Submit an office's bundle to the hub; the same bundle again goes on, or changes nothing.

        Raises: the checks of `file`; Replay; HubUnreachable, Forbidden (the hub does not let it be carried).
        """
        counting = Counting(self.session.store)

        def accept(cover: Cover) -> None:
            if cover.way != OUT:
                raise BundleForeign("the bundle is on its way back to an office", field="way", rule="B3-way")
            counting.seen(cover)

        with alone(self.session), opened(self.session, path, accept) as (signed, cover, content):
            answers = self._answers(cover.iss)
            again = counting.seen(cover)
            if self._cover_of(cover.iss) != signed:
                answers.forget()
            counting.taken(cover, done=again)
            hub = self._hub(signed, cover)
            for frame in read_frames(content, self.session.home.spool):
                self._one(hub, answers, cover, signed, frame)
            counting.taken(cover)
            statuses = [one.status for one in map(answers.get, answers.ids()) if one is not None]
        refused = sum(status >= 400 for status in statuses)
        return Carried(cover, again, len(statuses) - refused, refused)

    def bring(self, path: Path, *, office: str, lasts: timedelta) -> Cover:
        """Write the hub's answers and what waits for the office into a bundle for it.

        Withdrawals are asked for last, so that whatever ended meanwhile is on the stick with what it ends.
        Raises: RecordUnknown (nothing was carried for it), BundleExpired, HubUnreachable, StorageFull.
        """
        agency = check_agency(office, field="for")
        signed, want = self._office(agency)
        cover = Cover.from_bytes(signed.payload)
        if cover.exp <= self.session.now():
            raise BundleExpired("the office's bundle has expired: it must bring a new one", rule="B5-time")
        hub, answers = self._hub(signed, cover), self._answers(agency)
        counting = Counting(self.session.store)
        making = Making(BACK, agency, counting.next_seq(BACK, agency), lasts, cover.id)

        def fill(file: BinaryIO) -> None:
            for ident, brought_path, brought in answers.each():
                body = brought.body if brought.file is None else brought.file
                _write(file, ident, brought_path, brought.status, body)
            for frame in self._collected(hub, want):
                _write(file, call_id("GET", frame.path), frame.path, frame.status, frame.body)

        with alone(self.session):
            return write_bundle(self.session, path, making, fill, note=counting.made)

    # -- the hub -------------------------------------------------------------------------------------------

    def _hub(self, signed: Signed, cover: Cover) -> Transport:
        """The own connection, on the authority of the office's cover; an own office needs none."""
        if cover.iss == self.session.profile.agency:
            return self.session.hub
        return replace(self.session.hub, also={COURIER_HEADER: b64u(signed.to_bytes())})

    def _one(
        self, hub: Transport, answers: CarriedAnswers, cover: Cover, signed: Signed, frame: Frame
    ) -> None:
        if frame.what == WANT:
            value = {"cover": signed.to_json(), "want": dict(frame.head)}
            self.session.store.put(_OFFICES, cover.iss, value)
            return
        if frame.what != CALL:
            raise Malformed("what: an office sends no answers", field="what")
        method, path = frame.text("method"), frame.text("path")
        if not path.startswith(_CALLS.get(method, ())) or "?" in path or ".." in path:
            raise Malformed("path: not what an office may ask for", field="path")
        ident = call_id(method, path, frame.body if isinstance(frame.body, bytes) else b"")
        if answers.get(ident) is not None:
            _drop(frame.body)
            return
        if method == "PUT":
            self._upload(hub, path, frame.body)
            answers.put(ident, path, 200, b"{}")
        else:
            answer = final(hub.forward(method, path, data=_in_memory(frame.body)))
            answers.put(ident, path, answer.status, answer.body)

    def _upload(self, hub: Transport, path: str, body: bytes | Path) -> None:
        file = body
        if isinstance(file, bytes):
            file = self.session.home.spool / "carrying.frame"
            file.write_bytes(body if isinstance(body, bytes) else b"")
        try:
            upload(hub, path.rpartition("/")[2], file, self.on_bytes)
        finally:
            file.unlink(missing_ok=True)

    # -- collecting ----------------------------------------------------------------------------------------

    def _collected(self, hub: Transport, want: Mapping[str, JsonValue]) -> Iterator[_Given]:
        """Grants, receipts, the directory, and last the consents with their withdrawals."""
        have, watch = _texts(want.get("have")), _texts(want.get("watch"))
        inbox = _listed(hub, "/v1/inbox", want.get("inbox"))
        waiting = [
            item for item in inbox.items if item.get("state") in UNOPENED and item.get("gid") not in have
        ]
        for item in waiting[:MESSAGES]:
            yield from self._grant(hub, str(item.get("gid")))
        yield _Given("/v1/inbox", 200, inbox.body())
        receipts = _listed(hub, "/v1/outbox", None, keep=lambda item: item.get("gid") in watch)
        yield _Given("/v1/outbox", 200, receipts.body(end=True))
        yield from _directory(hub, want.get("after"))
        yield _Given("/v1/consents", 200, _listed(hub, "/v1/consents", None).body(end=True))

    def _grant(self, hub: Transport, gid: str) -> Iterator[_Given]:
        answer = final(hub.forward("GET", GRANTS + gid))
        yield _Given(GRANTS + gid, answer.status, answer.body)
        if answer.status != 200:
            return
        parts = decode(answer.body, limit=ANSWER_BYTES, depth=12).get("parts")
        for part in parts if isinstance(parts, list) else []:
            if isinstance(part, dict) and part.get("ct") is None:
                yield self._part(hub, f"{GRANTS}{gid}/parts/{part.get('p')}", str(part.get("sha256")))

    def _part(self, hub: Transport, path: str, tag: str) -> _Given:
        file = self.session.home.spool / "fetched.frame"
        with file.open("w+b") as target:
            download(hub, path, target, tag=tag, limit=LIMITS.sealed_part_bytes)
        return _Given(path, 200, file)

    # -- what is kept of offices ---------------------------------------------------------------------------

    def _answers(self, office: AgencyId) -> CarriedAnswers:
        return CarriedAnswers(self.session.store, self.session.home.spool, of=office)

    def _cover_of(self, office: AgencyId) -> Signed | None:
        found = self.session.store.get(_OFFICES, office)
        return None if found is None else Signed.from_json(found["cover"], Cover.LIMIT)

    def _office(self, office: AgencyId) -> tuple[Signed, Mapping[str, JsonValue]]:
        found = self.session.store.get(_OFFICES, office)
        want = None if found is None else found["want"]
        if found is None or not isinstance(want, dict):
            raise RecordUnknown(
                f"no bundle of {office} was carried here", hint="import the office's bundle first"
            )
        return Signed.from_json(found["cover"], Cover.LIMIT), want


@dataclass(frozen=True, slots=True)
class _Given:
    path: str
    status: int
    body: bytes | Path


@dataclass(frozen=True, slots=True)
class _Listing:
    """All pages of a listing as one."""

    items: list[dict[str, JsonValue]]
    following: JsonValue

    def body(self, *, end: bool = False) -> bytes:
        """As one answer; `end`: no more can follow."""
        more: dict[str, JsonValue] = {"next": None} if end else {"next": self.following, "more": False}
        return encode({"items": list(self.items), **more}, limit=ANSWER_BYTES, depth=16)


def _listed(
    hub: Transport,
    path: str,
    begin: JsonValue,
    *,
    keep: Callable[[dict[str, JsonValue]], bool] = lambda item: True,
) -> _Listing:
    cursor, items = begin if isinstance(begin, str) else None, list[dict[str, JsonValue]]()
    for _ in range(_MAX_PAGES):
        params: dict[str, str | int] = {"limit": _PAGE, **({} if cursor is None else {"cursor": cursor})}
        page = hub.get(path, params)
        found = page.get("items")
        items += (
            [one for one in found if isinstance(one, dict) and keep(one)] if isinstance(found, list) else []
        )
        following = page.get("next")
        if not isinstance(following, str) or page.get("more") is False:
            return _Listing(items, following)
        cursor = following
    raise Malformed("next: the listing has no end", field="next")


def _directory(hub: Transport, after: JsonValue) -> Iterator[_Given]:
    """Pages from where the office stands; the last one is empty and says that there is no more."""
    if isinstance(after, bool) or not isinstance(after, int):
        raise Malformed("after: a number is needed", field="after")
    for _ in range(_MAX_PAGES):
        params: dict[str, str | int] = {"after": after, "limit": 500}
        answer = final(hub.forward("GET", "/v1/directory/events", params=params))
        yield _Given(path_of("/v1/directory/events", params), answer.status, answer.body)
        events = decode(answer.body, limit=ANSWER_BYTES, depth=12).get("events")
        if not isinstance(events, list) or not events:
            return
        after += len(events)


def final(answer: Answer) -> Answer:
    """An answer to the office. Raises: the refusal when it is one of the courier, or passes.

    What the hub refuses the office (a consent that ended, a recipient that is shut out) is an answer: it goes
    back to the office, and what else the bundle holds is submitted.
    """
    if answer.status in _NOT_AN_ANSWER or answer.status >= 500:
        raise problem_error(answer.status, answer.body)
    if answer.status == 403:
        error = problem_error(answer.status, answer.body)
        if isinstance(error, HubRefused) or _of_the_courier(error):
            raise error
    return answer


def _of_the_courier(error: ExchangeError) -> bool:
    """Its cover, or its own token, does not allow this: a missing scope is refused without a rule."""
    return isinstance(error, Forbidden) and (error.rule is None or error.rule.startswith(_OF_THE_COURIER))


def _write(file: BinaryIO, ident: str, path: str, status: int, body: bytes | Path) -> None:
    write_frame(file, ANSWER, {"id": ident, "path": path, "status": status}, body)


def _in_memory(body: bytes | Path) -> bytes:
    if isinstance(body, bytes):
        return body
    data = body.read_bytes()
    body.unlink()
    return data


def _drop(body: bytes | Path) -> None:
    if isinstance(body, Path):
        body.unlink(missing_ok=True)


def _texts(value: JsonValue) -> frozenset[str]:
    return frozenset(str(one) for one in value) if isinstance(value, list) else frozenset()
