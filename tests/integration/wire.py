"""An agency's program on the wire: token requests and bound requests over a connection of its own each."""

import http.client
import json
import os
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlencode

from exchange_keys.jose import AuthKey, client_assertion, dpop_proof, token_hash
from exchange_schemas.codec import b64u

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class WireClient:
    """One agency at a hub that listens on `port` of this machine and is reached as `base_url`."""

    port: int
    base_url: str
    agency: str
    key: AuthKey
    dpop: AuthKey = field(default_factory=AuthKey.generate)

    def ask(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def send(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        reply = self.ask(method, path, body, headers)
        return reply.status, reply.body

    def proof(self, method: str, path: str, token: str | None = None) -> str:
        ath = None if token is None else token_hash(token)
        now, jti = datetime.now(UTC), b64u(os.urandom(16))
        return dpop_proof(self.dpop, htm=method, htu=self.base_url + path, now=now, jti=jti, ath=ath)

    def form(self, **more: str) -> str:
        now, jti = datetime.now(UTC), b64u(os.urandom(16))
        assertion = client_assertion(
            self.key, client_id=self.agency, audience=self.base_url, now=now, jti=jti
        )
        fields = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion} | more
        return urlencode({"grant_type": "client_credentials"} | fields)

    def ask_token(self) -> Reply:
        headers = {"Content-Type": FORM, "DPoP": self.proof("POST", "/oauth/token")}
        return self.ask("POST", "/oauth/token", self.form(), headers)

    def token(self) -> str:
        reply = self.ask_token()
        assert reply.status == 200, reply.body
        return str(json.loads(reply.body)["access_token"])

    def bound(self, method: str, path: str, token: str) -> dict[str, str]:
        """The headers of a request with a token and a fresh proof."""
        return {"Authorization": f"DPoP {token}", "DPoP": self.proof(method, path, token)}

    def get(self, path: str, token: str) -> Reply:
        return self.ask("GET", path, None, self.bound("GET", path, token))

    def post(self, path: str, token: str, body: object) -> Reply:
        headers = self.bound("POST", path, token) | {"Content-Type": "application/json"}
        return self.ask("POST", path, json.dumps(body), headers)

    def at_once(self, method: str, path: str, body: str | None, sent: list[dict[str, str]]) -> Counter[int]:
        """The statuses of the same request sent by many threads over connections of their own."""
        statuses: list[int] = []
        start = threading.Barrier(len(sent))

        def send(headers: dict[str, str]) -> None:
            start.wait()
            statuses.append(self.send(method, path, body, headers)[0])

        threads = [threading.Thread(target=send, args=(headers,)) for headers in sent]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return Counter(statuses)
