"""What every blueprint stands on: the Blueprint with its `operation`, the current caller, the ways to answer.

A request passes in this order: size and encoding → access token and DPoP proof → quota → scope → strict JSON
→ marshmallow → view. Nothing leaves an authenticated operation but what `services.release` released: a view
that answers otherwise is a failure of the hub. A caller who is known and then refused is a logged denial.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar, cast

import flask_smorest
from flask import Request, Response, current_app, g, request
from flask.globals import app_ctx

from exchange.hub.api.address import client_address
from exchange.hub.api.body import (
    BodyStream,
    presented,
    query_reader,
    read_json,
    refuse_unreadable,
    request_of,
)
from exchange.hub.api.operation import BYTES, OCTETS, TEXT, Content, Operation
from exchange.hub.api.plain import check_of
from exchange.hub.api.problem import dump
from exchange.hub.api.reply import Reply
from exchange.hub.api.schemas import JsonSchema
from exchange.hub.api.spec import describe
from exchange.hub.headers import MORE
from exchange.hub.services.couriers import carrying
from exchange.hub.services.release import Answer, Caller, Released, Trace, release
from exchange.hub.services.tokens import Refused
from exchange_schemas.bundle import COURIER_HEADER
from exchange_schemas.codec import b64u
from exchange_schemas.entry import Act
from exchange_schemas.errors import AuditUnavailable, ExchangeError, Forbidden, Unavailable
from exchange_schemas.limits import LIMITS

if TYPE_CHECKING:
    from exchange.hub.services.hub import Hub
    from exchange.hub.services.limits import Quota
    from exchange.hub.services.quotas import Quotas
    from exchange.hub.services.tokens import Presented
    from exchange.hub.services.unit import Unit

__all__ = [
    "BYTES",
    "TEXT",
    "AskOAuth",
    "Blueprint",
    "BodyStream",
    "Content",
    "JsonSchema",
    "Wiring",
    "current_address",
    "current_caller",
    "current_hub",
    "current_wiring",
    "note_quota",
    "respond",
    "respond_bytes",
    "respond_stream",
]

EXTENSION: Final = "homeward"
View = TypeVar("View", bound=Callable[..., Response])
Read = Callable[[Request, dict[str, Any]], list[Any]]
"""Reads what a view wants: positional arguments returned, named ones added to the path's."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """What the app hands to its blueprints: the hub, and the OAuth functions that the api may not import.

    `authenticate` raises `services.tokens.Refused`; `token` and `revoke` take a form, a proof and what tells
    the address that it came from, and give (status, JSON body, headers) of plain OAuth. `description`: the
    interface description (OpenAPI).
    """

    hub: Hub
    authenticate: Callable[[Presented], Caller]
    token: AskOAuth
    revoke: AskOAuth
    description: Callable[[], dict[str, Any]]
    quotas: Quotas


OAuthAnswer = tuple[int, dict[str, Any], Mapping[str, str]]
AskOAuth = Callable[[Mapping[str, str], str | None, Callable[[], str]], OAuthAnswer]


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # flask-smorest has no types
    """A group of operations about one noun."""

    def route(self, rule: str, *, methods: list[str], **options: Any) -> Callable[[View], View]:
        """Give a view its address and methods; each address and method has one view."""
        register = super().route(rule, methods=methods, **options)
        return cast("Callable[[View], View]", register)

    def operation(
        self,
        *,
        summary: str,
        responses: Mapping[int, type[JsonSchema] | Content | None],
        scope: str | None = None,
        auth: bool = True,
        act: Act = Act.REQUEST_REFUSE,
        unlogged: str | None = None,
        description: str = "",
        request: type[JsonSchema] | None = None,
        query: type[JsonSchema] | None = None,
        form: type[JsonSchema] | None = None,
        raw: bool = False,
        max_bytes: int = LIMITS.request_body_bytes,
        problems: Iterable[int] = (),
        examples: Mapping[int | str, Any] | None = None,
        content: str = OCTETS,
        counted: bool = True,
        carried: bool = False,
    ) -> Callable[[View], View]:
        """Declare a view: who may call it, what it reads, what it answers. Goes under `route`.

        The view gets the loaded body as its first argument (with `request`), `query=` (with `query`),
        `stream=` (with `raw`) and the path's parameters by name. `auth=False` makes it public; else `scope`
        is needed. `act` names the denial when the request is refused before the service is reached.
        `unlogged` gives the reason why an authenticated answer may have no entry (see audit.md). `examples`
        are by "request" or status; `content` is the media type of a raw body. `form` only describes: such a
        view reads its form itself. `counted=False`: a public view that no quota of addresses concerns.
        `carried`: a courier may do it for an office without network.
        """
        if auth == (scope is None):
            raise TypeError("an operation has a scope, or auth=False and no scope")
        has_body = raw or request is not None or form is not None
        declared = Operation(
            summary=summary,
            description=description,
            scope=scope,
            act=act,
            unlogged=unlogged,
            request=request,
            query=query,
            form=form,
            raw=raw,
            content=content,
            max_bytes=max_bytes if has_body else 0,
            responses=responses,
            problems=tuple(problems),
            examples={} if examples is None else examples,
            counted=counted,
            carried=carried,
        )

        def decorate(view: View) -> View:
            serve = _serving(declared, view)
            # Where `operation_of` and flask-smorest look for it.
            serve.operation = declared  # type: ignore[attr-defined]  # a function takes members
            serve._apidoc = {"manual_doc": describe(declared, self.name, view)}  # type: ignore[attr-defined]
            return cast("View", serve)

        return decorate


# -- the current request -------------------------------------------------------------------------------


def current_wiring() -> Wiring:
    """What the app was built with."""
    return cast("Wiring", current_app.extensions[EXTENSION])


def current_hub() -> Hub:
    """The hub that serves this request."""
    return current_wiring().hub


def current_caller() -> Caller:
    """Who calls, as authenticated. Only in an operation with a scope."""
    return cast("Caller", g.caller)


def current_address() -> str:
    """Where this request comes from, for rate limits."""
    proxies = current_hub().settings.trusted_proxies
    return client_address(request.remote_addr, request.headers.get("X-Forwarded-For"), proxies)


def note_quota(quota: Quota) -> None:
    """Have this request's answer say where the caller stands."""
    request_of().environ[MORE] = quota.headers()


def _serving(declared: Operation, view: Callable[..., Response]) -> Callable[..., Response]:
    """The view as it is served: what may be refused before it is."""
    read, scope, counted = _reader(declared), declared.scope, declared.counted

    @wraps(view)
    def serve(**path: Any) -> Response:
        current = request_of()
        refuse_unreadable(current, declared.max_bytes)
        if scope is None:
            if counted:
                note_quota(current_wiring().quotas.of_address(current_address()))
            return view(*read(current, path), **path)
        return _serve_member(current, declared, view, read, path)

    return serve


def _reader(declared: Operation) -> Read:
    body = None if declared.request is None else declared.request()
    query = None if declared.query is None else declared.query()
    plain = None if body is None else check_of(body)
    read_query = query_reader(query)

    def read(current: Request, path: dict[str, Any]) -> list[Any]:
        found = read_query(current)
        if query is not None:
            path["query"] = found
        if declared.raw:
            path["stream"] = BodyStream(current, declared.max_bytes)
        return [] if body is None else [read_json(current, body, plain, declared.max_bytes)]

    return read


def _serve_member(
    current: Request, declared: Operation, view: Callable[..., Response], read: Read, path: dict[str, Any]
) -> Response:
    wiring = current_wiring()
    caller = _authenticated(current, wiring)
    state = app_ctx.g
    state.caller, state.operation, state.released = caller, declared, False
    try:
        if declared.scope not in caller.scopes:
            hint = f"ask for a token with {declared.scope}"
            raise Forbidden("the access token lacks the scope of this operation", hint=hint)
        courier = current.headers.get(COURIER_HEADER)
        if courier is not None:
            state.caller = _carrying(wiring.hub, caller, declared, courier)
        response = view(*read(current, path), **path)
    except ExchangeError as error:
        # `release` marks what it raised; everything else was refused before it was reached. A database that
        # was too busy, or could not be written, is not asked a second time.
        if "receipt" in vars(error) or isinstance(error, Unavailable | AuditUnavailable):
            raise
        deny(wiring.hub, caller, Trace(act=declared.act), error)
    if not state.released:
        raise RuntimeError("an authenticated view answered without release()")
    return response


def _carrying(hub: Hub, caller: Caller, declared: Operation, courier: str) -> Caller:
    if not declared.carried:
        raise Forbidden("courier: nobody does this for another agency", rule="courier-operation")
    return carrying(hub, caller, courier)


def _authenticated(current: Request, wiring: Wiring) -> Caller:
    """Who calls, within its quota. Raises: Refused, Limited."""
    try:
        caller = wiring.authenticate(presented(current))
    except Refused as error:
        if error.error is None:
            note_quota(wiring.quotas.of_address(current_address()))
        elif error.strange:
            wiring.quotas.of_failure(current_address())
        raise
    note_quota(wiring.quotas.of_agency(caller.agency))
    return caller


def deny(hub: Hub, caller: Caller, trace: Trace, error: ExchangeError) -> NoReturn:
    """Refuse a known caller: the proof is spent and the denial logged.

    Raises: the error, with its receipt; or what `release` raises instead, such as Unauthorized.
    """

    def work(_unit: Unit) -> Answer:
        raise error

    release(hub, caller, trace, work, reads=True)
    raise error


# -- answering -----------------------------------------------------------------------------------------


def respond(released: Released) -> Response:
    """A JSON answer with its `receipt`; no body for 204 and 304."""
    body: dict[str, Any] = released.body
    if released.receipt is not None:
        body = {**body, "receipt": {"entry": b64u(released.receipt.entry), "proof": released.receipt.proof}}
    empty = released.status in (204, 304)
    return _answer(released, b"" if empty else dump(body), "application/json")


def respond_bytes(released: Released, data: bytes, media_type: str = OCTETS) -> Response:
    """An answer of bytes or text; its receipt is named in the header Homeward-Receipt."""
    return _answer(released, data, media_type)


def respond_stream(
    released: Released, chunks: Iterable[bytes], length: int, media_type: str = OCTETS
) -> Response:
    """A long answer of exactly `length` bytes, sent as it is read."""
    response = _answer(released, chunks, media_type)
    response.content_length = length
    return response


def _answer(released: Released, data: bytes | Iterable[bytes], media_type: str) -> Response:
    state = app_ctx.g
    declared: Operation = state.operation
    if released.receipt is None and declared.unlogged is None:
        raise AuditUnavailable("the answer has no entry in the audit log, so it is not given")
    state.released = True
    fields = list(released.headers.items())
    if released.receipt is not None:
        fields.append(("Homeward-Receipt", released.receipt.entry_id))
    # What is read as it is sent is to be closed as well; bytes can go out as they are.
    ready = isinstance(data, bytes)
    return Reply(data, released.status, fields, mimetype=media_type, direct_passthrough=ready)
