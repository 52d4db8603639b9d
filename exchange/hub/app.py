"""The Flask application of the hub: blueprints, errors, headers.

It holds no session, sets no cookie, trusts no Host header, and redirects nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from flask import Flask, Request, Response, request
from flask.sessions import NullSession, SessionInterface
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import MapAdapter

from exchange.hub.api import (
    audit,
    audit_reading,
    consents,
    deployment,
    directory,
    disclosures,
    envelopes,
    grants,
    health,
    inbox,
    notices,
    oauth,
    outbox,
    parts,
    problems,
    reference,
    webhooks,
    wellknown,
)
from exchange.hub.api.base import EXTENSION, Blueprint, Wiring, note_quota
from exchange.hub.api.body import request_of
from exchange.hub.api.problem import internal_problem, log_failure, problem_of, problem_of_http
from exchange.hub.api.spec import Api
from exchange.hub.headers import Headers
from exchange.hub.oauth.resource import ResourceGate
from exchange.hub.oauth.server import TokenServer
from exchange.hub.services.hub import Hub, open_hub
from exchange.hub.services.limits import Limited
from exchange.hub.services.quotas import Quotas
from exchange.hub.services.withdrawals import replay_journal
from exchange.hub.services.witness_guard import check_start
from exchange.hub.settings import Settings
from exchange_schemas.errors import ExchangeError, LocalError, LogError, NotFound, ServiceError

BLUEPRINTS: tuple[Blueprint, ...] = (
    deployment.blp,
    directory.blp,
    consents.blp,
    parts.blp,
    envelopes.blp,
    inbox.blp,
    grants.blp,
    outbox.blp,
    notices.blp,
    disclosures.blp,
    webhooks.blp,
    audit.blp,
    audit_reading.blp,
    oauth.blp,
    wellknown.blp,
    health.blp,
    problems.blp,
    reference.blp,
)


def create_app(settings: Settings) -> Flask:
    """The application of these settings, once the hub may serve and nothing withdrawn can come back.

    For any WSGI server; `exchange-hub serve` does the same once for all its workers, and publishes to the
    witnesses, which beside another server is for `exchange-hub audit publish --every 10`.
    Raises: ConfigInvalid and what `open_hub` raises; Unavailable with the start-up check that failed;
    StoreCorrupt when the guard journal is damaged.
    """
    hub = open_hub(settings)
    for warning in check_start(hub):
        logging.getLogger(__name__).warning("%s", warning)
    replay_journal(hub)
    return create_app_from(hub)


def create_app_from(hub: Hub, blueprints: tuple[Blueprint, ...] = BLUEPRINTS) -> Flask:
    """The application around an open hub."""
    base_url = hub.settings.base_url
    app = _empty_app()
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    _drop_head(app)
    quotas = Quotas(hub)
    gate = ResourceGate(hub)
    server = TokenServer(hub, quotas)

    @cache
    def description() -> dict[str, Any]:
        # Made once, and only when somebody asks: it is long.
        document: dict[str, Any] = described_app(base_url, blueprints)[1].spec.to_dict()
        return document

    app.extensions[EXTENSION] = Wiring(
        hub, gate.authenticate, server.token, server.revoke, description, quotas
    )
    app.before_request(_refuse_second_spelling)
    _answer_errors(app, base_url)
    if hub.settings.dpop_nonce:
        _add_nonces(app, gate)
    app.wsgi_app = Headers(app.wsgi_app, https=base_url.startswith("https:"))  # type: ignore[method-assign]
    return app


def described_app(base_url: str, blueprints: tuple[Blueprint, ...] = BLUEPRINTS) -> tuple[Flask, Api]:
    """The routes with their description, and no hub behind them."""
    app = _empty_app()
    api = Api(app, base_url=base_url)
    for blueprint in blueprints:
        api.register_blueprint(blueprint)
    _drop_head(app)
    return app, api


class _NoSession(SessionInterface):
    """There are no sessions: one that is always null, and never saved."""

    def open_session(self, app: Flask, request: Request) -> NullSession:
        """The same for everybody; whoever writes to it fails."""
        return _NULL

    def is_null_session(self, obj: object) -> bool:
        """So that no answer looks for what to save."""
        return True


_NULL: Final = NullSession()


class _Application(Flask):
    session_interface = _NoSession()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """As it is: everything here is synchronous, and need not be asked so with each request."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Match by path and method: no address is built here, and no Host header is believed or read."""
        if request is None:
            return super().create_url_adapter(request)
        return MapAdapter(self.url_map, "", "", "", "https", request.path, request.method)


def _empty_app() -> Flask:
    app = _Application("exchange.hub", static_folder=None, template_folder=None)
    # What is refused is refused at the exact address: no redirects to a tidier one.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    app.config.update(PROVIDE_AUTOMATIC_OPTIONS=False, MAX_CONTENT_LENGTH=0)
    return app


def _drop_head(app: Flask) -> None:
    """A HEAD would do, and log, all that a GET does and then give nothing."""
    for rule in app.url_map.iter_rules():
        if rule.methods is not None:
            rule.methods.discard("HEAD")


def _refuse_second_spelling() -> None:
    """`//v1/inbox` is not `/v1/inbox`, and `get` is not GET, as a filter in front of the hub may see it.

    Raises: NotFound; MethodNotAllowed (RFC 9110, section 9.1: methods are told apart by case).
    """
    current = request_of()
    if current.environ.get("PATH_INFO", "").startswith("//"):
        raise NotFound("there is no such address")
    if current.environ.get("REQUEST_METHOD") != current.method:
        rule = current.url_rule
        raise MethodNotAllowed(sorted(rule.methods or ()) if rule is not None else None)


def _answer_errors(app: Flask, base_url: str) -> None:
    def refused(error: ExchangeError) -> Response:
        if isinstance(error, Limited):
            note_quota(error.quota)
        if isinstance(error, ServiceError | LogError | LocalError):
            log_failure(error)
        if oauth.speaks_oauth(request.path):
            return oauth.refusal_of(error)
        return problem_of(error, base_url)

    def refused_by_framework(error: HTTPException) -> Response:
        return problem_of_http(error, base_url)

    def failed(error: Exception) -> Response:
        log_failure(error)
        return internal_problem(base_url)

    app.register_error_handler(ExchangeError, refused)
    app.register_error_handler(HTTPException, refused_by_framework)
    app.register_error_handler(Exception, failed)


def _add_nonces(app: Flask, gate: ResourceGate) -> None:
    @app.after_request
    def add(response: Response) -> Response:
        if "DPoP-Nonce" not in response.headers and _is_bound(request):
            response.headers["DPoP-Nonce"] = gate.nonce()
        return response


def _is_bound(current: Request) -> bool:
    return current.path.startswith(("/v1/", "/oauth/"))
