"""An office without network: the hub's answers that a courier brought, in place of a connection.

The program of such an office runs as everywhere else; only its wire is this one. A request whose answer was
brought gets it, every other one finds no hub and is kept for the next bundle. Every check of the answers is
made by the code that makes it online: nothing here is believed, and nothing here may invent an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from exchange.member.store import Store
from exchange.net.wire import Answer, Call, Closable, Wire
from exchange_schemas.codec import b64u, lp, sha256
from exchange_schemas.errors import HubUnreachable

VARIABLE = "HOMEWARD_OFFLINE"
PATIENCE = timedelta(days=14)
"""How old the copy of the key directory may be where only couriers bring a newer one (ADR 36)."""
GRANTS = "/v1/grants/"
_LISTED = ("/v1/inbox", "/v1/consents", "/v1/outbox")
_CHUNK = 64 * 1024
_FILE = ".carried"


def call_id(method: str, path: str, body: bytes = b"") -> str:
    """What a request is known by on its way: method, path, and for a POST the bytes sent."""
    said = sha256(body) if method == "POST" else b""
    return b64u(sha256(lp(b"hx1/call", method.encode(), path.encode(), said)))


def path_of(path: str, params: Mapping[str, str | int]) -> str:
    """The path that a GET is known by: of the directory's pages with where they begin."""
    return f"{path}?after={params['after']}" if "after" in params else path


@dataclass(frozen=True, slots=True)
class Brought:
    """One answer: `body` in memory, or `file` for a long one."""

    status: int
    body: bytes
    file: Path | None


class CarriedAnswers:
    """Answers that were brought and not used up, in the store; long ones as files beside it.

    `of`: the office that a courier keeps them for; empty for the office's own.
    """

    def __init__(self, store: Store, folder: Path, *, of: str = "") -> None:
        self._store = store
        self._folder = folder
        self._heads = f"carried/{of}"
        self._bodies = f"carried_body/{of}"

    def put(self, ident: str, path: str, status: int, body: bytes | Path) -> None:
        """Keep one; a `Path` is a file to be taken over."""
        with self._store.writing():
            self._store.put(self._heads, ident, {"path": path, "status": status})
            if isinstance(body, bytes):
                self._store.put_bytes(self._bodies, ident, body)
            else:
                body.replace(self._file(ident))

    def get(self, ident: str) -> Brought | None:
        """One, or None."""
        value = self._store.get(self._heads, ident)
        if value is None:
            return None
        body, file = self._store.get_bytes(self._bodies, ident), self._file(ident)
        return Brought(int(str(value["status"])), body or b"", file if body is None else None)

    def ids(self) -> list[str]:
        """The ids of all."""
        return [ident for ident, _ in self._store.each(self._heads)]

    def each(self) -> Iterator[tuple[str, str, Brought]]:
        """(id, path, answer) of all, oldest first."""
        for ident, value in self._store.each(self._heads):
            found = self.get(ident)
            if found is not None:
                yield ident, str(value["path"]), found

    def paths(self, under: str) -> list[str]:
        """The paths of given answers that begin with `under`."""
        every = self._store.each(self._heads)
        return [str(value["path"]) for _, value in every if str(value["path"]).startswith(under)]

    def forget(self, *, under: str = "", keep_grants: bool = False) -> None:
        """Forget all whose path begins with `under`, but for grants that nobody has opened yet."""
        for ident, value in list(self._store.each(self._heads)):
            path = str(value["path"])
            receipt = path.endswith("/receipt")
            if not path.startswith(under) or (keep_grants and path.startswith(GRANTS) and not receipt):
                continue
            with self._store.writing():
                self._store.delete(self._heads, ident)
                self._store.delete(self._bodies, ident)
            self._file(ident).unlink(missing_ok=True)

    def clear_stray_files(self) -> None:
        """Delete files that no answer names: the program was killed while it kept or forgot one."""
        named = {self._file(ident) for ident in self.ids()}
        for path in self._folder.glob(f"*{_FILE}"):
            if path not in named:
                path.unlink(missing_ok=True)

    def _file(self, ident: str) -> Path:
        return self._folder / f"{ident}{_FILE}"


class CarriedWire(Wire):
    """A wire that leads to no hub."""

    def __init__(self, answers: CarriedAnswers) -> None:
        super().__init__()
        self._answers = answers

    def pause(self, seconds: float) -> None:
        """Nothing: what no courier has brought is not there a moment later either."""

    def send(self, call: Call) -> Answer:
        """The brought answer. Raises: HubUnreachable when there is none."""
        found = self._found(call)
        body = found.body if found.file is None else found.file.read_bytes()
        return _answer(call, found, body)

    @contextmanager
    def stream(self, call: Call) -> Iterator[tuple[Answer, Iterator[bytes]]]:
        """As `send`, a piece at a time."""
        found = self._found(call)
        if found.file is None:
            pieces = iter(()) if found.status >= 400 else iter((found.body,))
            yield _answer(call, found, found.body if found.status >= 400 else b""), pieces
            return
        with found.file.open("rb") as file:
            yield _answer(call, found, b""), iter(lambda: file.read(_CHUNK), b"")

    def _found(self, call: Call) -> Brought:
        path = urlsplit(call.url).path
        if call.method == "GET" and path not in _LISTED:
            path = path_of(path, call.params)
        found = self._answers.get(call_id(call.method, path, _sent(call)))
        if found is None:
            raise HubUnreachable(
                "this office has no network, and no courier has brought an answer to this",
                hint="what is to be sent waits here: `exchange-agency bundle export` takes it",
            )
        return found


def _sent(call: Call) -> bytes:
    if call.method != "POST" or call.body is None:
        return b""
    body = call.body()
    if isinstance(body, Closable):
        body.close()
    return body if isinstance(body, bytes) else b""


def _answer(call: Call, found: Brought, body: bytes) -> Answer:
    return Answer(call.method, found.status, {}, body, {}, carried=True)
