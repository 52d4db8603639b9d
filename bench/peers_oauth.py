"""The token endpoint beside oidc-provider's, and a protected GET beside bare Flask, each with its CPU time.

oidc-provider (npm) keeps everything in the memory of its process, as its own adapter does; ours writes a
token's audit entry and both used ids to a disk before it answers. Both serve the same clients, keys and
prepared requests on the same machine, measured in turn. The peer is one process, as that adapter demands: an
assertion used up in one process is taken again by another. For comparison it stands there a second time with
as many processes as ours, which it could not be run with. Where our CPU goes is shown by the parts that are
pure: they are timed alone, and the rest is HTTP, the transaction and its log. Every connection takes whatever
request is next, for ours, the peer's and the floor's server alike.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Final

from bench.databases import ENGINES
from bench.hub import WORKERS, World, renew_tokens, served_world
from bench.load import HOST, LoadFailed, send
from bench.members import SCOPES, Place
from bench.processes import Server, free_port, serving
from bench.requests import EACH, Lanes, Series, floor_lanes, served_floor, window
from bench.table import Row
from bench.timing import in_turn
from exchange_keys.jose import (
    AuthKey,
    client_assertion,
    dpop_proof,
    jwks_member,
    sign_compact,
    thumbprint,
    token_hash,
    verify_client_assertion,
    verify_dpop,
)
from exchange_schemas.ids import AgencyId, new_id
from tests.node.tools import HERE, NODE

ROUNDS: Final = 9
TOKEN_AIM: Final = 1.0
GET_AIM: Final = 0.6
_PEER: Final = HERE / "peers"
_URL: Final = "https://bench.example"
# Nothing waits in either listing: the one is not logged, the other is.
_GETS: Final = {"get_unlogged": "/v1/inbox", "get_logged": "/v1/outbox"}


def rows() -> Iterator[Row]:
    """Token issue on both engines against one oidc-provider each; protected GETs against bare Flask."""
    parts = {name: seconds * 1e3 for name, seconds in _parts().items()}
    for engine in ENGINES:
        with (
            engine() as databases,
            served_world(databases) as world,
            _served_peer(world, 1) as peer,
            _served_peer(world, WORKERS) as many,
            served_floor(databases) as floor,
        ):
            found = _tokens(world, (peer, many))
            name, signatures = f"token_vs_oidc_provider.{databases.name}", sum(parts.values())
            yield from _rows(name, found[0], "oidc-provider in memory", TOKEN_AIM, signatures)
            name = f"token_vs_{WORKERS}_oidc_providers.{databases.name}"
            yield from islice(
                _rows(name, found[1], f"{WORKERS} of them that share nothing", None, signatures), 2
            )
            for kind, path in _GETS.items():
                found = _gets(world, floor, path)
                name = f"{kind}.{databases.name}"
                yield from _rows(name, found, "bare Flask insert", GET_AIM, parts["verify_proof"])
    for name, ms in parts.items():
        note = "one of the signatures of a request, timed alone"
        yield Row(f"part.{name}.cpu_ms", ms, "ms", higher_is_better=False, note=note)


def _tokens(world: World, peers: Sequence[Server]) -> list[Series]:
    """Ours and each peer's, measured in turn; the first round warms all up."""
    found, warm_up = [Series() for _ in peers], Series()
    places = [Place(world.place.origin, peer.port, world.place.position) for peer in peers]
    for peer, theirs in zip(peers, places, strict=True):
        _check_alike(world, peer, theirs)
    for number in range(ROUNDS + 1):
        for peer, theirs, own in zip(peers, places, found, strict=True):
            series = warm_up if number == 0 else own
            window(
                peer, _requests(world, theirs), 200, series.floor_per_second, series.floor_cpu_s, shared=True
            )
            window(
                world.server, _requests(world, world.place), 200, series.per_second, series.cpu_s, shared=True
            )
    return found


def _check_alike(world: World, peer: Server, place: Place) -> None:
    """That the peer does the same work: a signed token, bound to the proof's key. Raises: LoadFailed."""
    answers = send(peer.port, [[world.senders[0].token_request(place)]]).expect(200)
    body = json.loads(answers.lanes[0][0][1])
    if body["token_type"] != "DPoP" or body["access_token"].count(".") != 2:
        raise LoadFailed("oidc-provider gave another kind of token than ours")


def _requests(world: World, place: Place) -> Lanes:
    return [[one.token_request(place) for _ in range(EACH)] for one in world.senders]


def _gets(world: World, floor: Server, path: str) -> Series:
    found, warm_up = Series(), Series()
    for number in range(ROUNDS + 1):
        renew_tokens(world)
        series = warm_up if number == 0 else found
        window(floor, floor_lanes(floor.port), 200, series.floor_per_second, series.floor_cpu_s, shared=True)
        people = world.recipients if "inbox" in path else world.senders
        lanes = [[one.get_request(world.place, path) for _ in range(EACH)] for one in people]
        window(world.server, lanes, 200, series.per_second, series.cpu_s, shared=True)
    return found


def _rows(name: str, found: Series, other: str, aim: float | None, signatures_ms: float) -> Iterator[Row]:
    ratios = [one / floor for one, floor in zip(found.per_second, found.floor_per_second, strict=True)]
    spread = f"of {other}; rounds {min(ratios):.2f}-{max(ratios):.2f}"
    yield Row(f"{name}.ratio", median(ratios), "x", aim=aim, note=spread)
    per_second = median(found.floor_per_second)
    yield Row(f"{name}.per_s", median(found.per_second), "1/s", note=f"{other}: {per_second:,.0f}/s")
    cpu_ms, theirs_ms = median(found.cpu_s) * 1e3, median(found.floor_cpu_s) * 1e3
    if cpu_ms > 0:
        note = f"server's CPU a request; {other}: {theirs_ms:.2f} ms"
        yield Row(f"{name}.cpu_ms", cpu_ms, "ms", higher_is_better=False, note=note)
        note = f"of it signatures: {signatures_ms:.2f} ms; the rest: HTTP, transaction, audit log"
        yield Row(f"{name}.rest_cpu_ms", cpu_ms - signatures_ms, "ms", higher_is_better=False, note=note)
        note = f"CPU a request of {other} to ours: steadier than the clock on a busy machine"
        yield Row(f"{name}.cpu_ratio", theirs_ms / cpu_ms, "x", note=note)


# -- the peer ------------------------------------------------------------------------------------------


@contextmanager
def _served_peer(world: World, workers: int) -> Iterator[Server]:
    port = free_port()
    clients = [{"client_id": one.id, "jwk": jwks_member(one.auth.public)} for one in world.senders]
    config = {
        "port": port,
        "workers": workers,
        "issuer": f"http://{HOST}:{port}",
        "scope": SCOPES,
        "clients": clients,
    }
    with tempfile.TemporaryDirectory(prefix="homeward-bench-") as folder:
        command = [str(NODE), str(_PEER / "oidc-provider.mjs")]
        env = {"PEER_CONFIG": json.dumps(config), "NODE_ENV": "production"}
        with serving(command, port, Path(folder) / "peer.log", env) as server:
            yield server


# -- where the CPU goes --------------------------------------------------------------------------------


def _parts() -> dict[str, float]:
    """CPU seconds of each signature that a token costs; a GET costs the proof's alone."""
    client, bound, signing = AuthKey.generate(), AuthKey.generate(), AuthKey.generate()
    now, jti, agency = datetime.now(UTC), new_id(os.urandom), AgencyId("ngo-0")
    shown = client_assertion(client, client_id=agency, audience=_URL, now=now, jti=jti)
    token = sign_compact(signing, {"typ": "at+jwt"}, {"iss": _URL, "sub": agency, "jti": jti})
    url = f"{_URL}/v1/inbox"
    proof = dpop_proof(bound, htm="GET", htu=url, now=now, jti=jti, ath=token_hash(token))
    jkt = thumbprint(bound.public)
    works: dict[str, Callable[[], object]] = {
        "verify_assertion": lambda: verify_client_assertion(
            shown, audience=_URL, key_for=lambda _client, _kid: client.public, now=now
        ),
        "verify_proof": lambda: verify_dpop(proof, htm="GET", htu=url, now=now, access_token=token, jkt=jkt),
        "sign_token": lambda: sign_compact(signing, {"typ": "at+jwt"}, {"iss": _URL, "sub": agency}),
    }
    times = in_turn(tuple(works.values()), rounds=15, inner=20)
    return {name: median(found) for name, found in zip(works, times, strict=True)}
