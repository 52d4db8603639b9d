"""HTTP as the library `requests` speaks it: no redirects, no passwords of the machine, one kind of failure.

It must never follow a redirect (a token would travel with it) and never switch TLS verification off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import requests

from exchange.net.wire import Call, Lost, Patience
from exchange_schemas.errors import HubRefused, HubUnreachable


class Connection:
    """Connections that are kept open between requests."""

    def __init__(self, session: requests.Session | None) -> None:
        """`session` is given by tests only."""
        self._session = requests.Session() if session is None else session
        self._session.auth = _keep_headers
        self._session.headers["User-Agent"] = "homeward-agency"

    def close(self) -> None:
        """Drop the connections."""
        self._session.close()

    @contextmanager
    def exchange(
        self, call: Call, sent: Mapping[str, str], body: object, patience: Patience
    ) -> Iterator[requests.Response]:
        """One attempt: the headers of the answer, and its body to be read within.

        Raises: Lost when there is no hub, HubUnreachable (its certificate), HubRefused for a redirect.
        """
        with _network_errors():
            response = self._session.request(
                call.method,
                call.url,
                params=dict(call.params),
                headers=dict(sent),
                data=body,  # type: ignore[arg-type]  # bytes, or a file that is read in pieces
                timeout=(patience.connect, patience.read),
                allow_redirects=False,
                stream=True,
            )
            with response:
                if 300 <= response.status_code < 400 and response.status_code != 304:
                    raise HubRefused(
                        "the hub's address answers with a redirect, which is never followed",
                        hint="check base_url in agency.json with the operator",
                    )
                yield response


@contextmanager
def _network_errors() -> Iterator[None]:
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise HubUnreachable(
            "the hub's TLS certificate cannot be verified; nothing was sent",
            hint="check this machine's clock and certificates; never switch verification off",
        ) from error
    except requests.exceptions.Timeout as error:
        raise Lost(_unreachable("did not answer in time", error)) from error
    except requests.exceptions.RequestException as error:
        raise Lost(_unreachable("cannot be reached", error)) from error


def _unreachable(what: str, cause: Exception) -> HubUnreachable:
    error = HubUnreachable(
        f"the hub {what}", hint="check the connection; nothing is lost, run the same command again later"
    )
    error.__cause__ = cause
    return error


def _keep_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """As `auth`, so that a ~/.netrc never replaces the Authorization header."""
    return request
