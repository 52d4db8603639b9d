"""The transport over a real local server: tokens, proofs, nonces, repeats, problems, clocks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from exchange.member.tokens import Caller, Tokens
from exchange.member.transport import RawReceipt, Transport
from exchange.net.wire import PAUSES_SECONDS, Wire
from exchange_keys.jose import AuthKey, verify_client_assertion, verify_dpop
from exchange_schemas.codec import b64u, sha256
from exchange_schemas.errors import (
    ClockSkew,
    ConsentWithdrawn,
    FieldDenied,
    HubRefused,
    HubUnreachable,
    Unauthorized,
    Unavailable,
)
from exchange_schemas.ids import AgencyId
from tests.unit.agency.tiny_hub import TOKEN, Heard, Reply, TinyHub, answer, problem, running

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]

KEY = AuthKey.generate("ES256")
NOW = datetime.now(UTC).replace(microsecond=0)


class Client:
    """A transport to a tiny hub, with what it kept."""

    def __init__(self, hub: TinyHub, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.kept: list[RawReceipt] = []
        self.noted: list[str] = []
        self.slept: list[float] = []
        wire = Wire(sleep=self.slept.append)
        caller = Caller(AgencyId("ngo-a"), ("directory:read",), KEY, "pseudonym")
        numbers = iter(range(1, 10_000))
        tokens = Tokens(
            hub.base_url, caller, wire, now, lambda n: next(numbers).to_bytes(n, "big"), self.noted.append
        )
        self.hub = Transport(hub.base_url, wire, tokens, self.kept.append, self.noted.append)


def scripted(**by_path: Callable[[Heard], Reply] | Reply) -> Callable[[Heard], Reply]:
    """Replies by the last word of the path; tokens are given unless said otherwise."""

    def script(heard: Heard) -> Reply:
        name = heard.path.split("?")[0].rsplit("/", 1)[-1]
        found = by_path.get(name, TOKEN if name == "token" else problem(404, "NOT_FOUND"))
        return found(heard) if callable(found) else found

    return script


def in_turn(*replies: Reply) -> Callable[[Heard], Reply]:
    """The replies one after the other, the last one for ever."""
    left = list(replies)
    return lambda heard: left.pop(0) if len(left) > 1 else left[0]


def test_a_token_is_asked_for_once_with_a_signed_assertion_and_every_call_has_its_own_proof() -> None:
    with running(scripted(thing=answer({"ok": 1}))) as hub:
        client = Client(hub)
        assert client.hub.get("/v1/thing", {"n": 1}) == {"ok": 1}
        assert client.hub.get("/v1/thing") == {"ok": 1}
    assert len(hub.of("/oauth/token")) == 1
    first, second = hub.of("/v1/thing")
    assert first.headers["Authorization"] == "DPoP token-1"
    proofs = [
        verify_dpop(
            one.headers["DPoP"],
            htm="GET",
            htu=f"{hub.base_url}/v1/thing",
            now=datetime.now(UTC),
            access_token="token-1",
        )
        for one in (first, second)
    ]
    assert proofs[0].jti_hash != proofs[1].jti_hash
    assert proofs[0].usr == "pseudonym"
    form = dict(pair.split("=") for pair in hub.of("/oauth/token")[0].body.decode().split("&"))
    verified = verify_client_assertion(
        form["client_assertion"],
        audience=hub.base_url,
        key_for=lambda agency, kid: KEY.public,
        now=datetime.now(UTC),
    )
    assert verified.client_id == "ngo-a"


def test_a_token_is_renewed_shortly_before_it_expires() -> None:
    moment = [datetime.now(UTC)]
    with running(scripted(thing=answer({}))) as hub:
        client = Client(hub, lambda: moment[0])
        client.hub.get("/v1/thing")
        moment[0] += timedelta(seconds=100)
        client.hub.get("/v1/thing")
        assert len(hub.of("/oauth/token")) == 1
        client.hub.tokens._until = moment[0].timestamp() - 1
        client.hub.get("/v1/thing")
        assert len(hub.of("/oauth/token")) == 2


def test_a_nonce_that_is_asked_for_is_sent_once_more_and_kept() -> None:
    asked = Reply(401, b'{"code":"UNAUTHORIZED","detail":"nonce"}', {"DPoP-Nonce": "nonce-1"})
    with running(scripted(thing=in_turn(asked, answer({"ok": 1})))) as hub:
        assert Client(hub).hub.get("/v1/thing") == {"ok": 1}
    proofs = [
        verify_dpop(one.headers["DPoP"], htm="GET", htu=f"{hub.base_url}/v1/thing", now=datetime.now(UTC))
        for one in hub.of("/v1/thing")
    ]
    assert [proof.nonce for proof in proofs] == [None, "nonce-1"]


def test_a_nonce_at_the_token_endpoint_is_answered() -> None:
    asked = Reply(400, b'{"error":"use_dpop_nonce"}', {"DPoP-Nonce": "nonce-2"})
    with running(scripted(token=in_turn(asked, TOKEN), thing=answer({}))) as hub:
        Client(hub).hub.get("/v1/thing")
    second = hub.of("/oauth/token")[1]
    assert (
        verify_dpop(
            second.headers["DPoP"], htm="POST", htu=f"{hub.base_url}/oauth/token", now=datetime.now(UTC)
        ).nonce
        == "nonce-2"
    )


def test_a_refused_token_is_replaced_once() -> None:
    with running(scripted(thing=in_turn(problem(401, "UNAUTHORIZED"), answer({"ok": 1})))) as hub:
        assert Client(hub).hub.get("/v1/thing") == {"ok": 1}
    assert len(hub.of("/oauth/token")) == 2


def test_a_token_that_is_not_given_says_so_and_whom_to_ask() -> None:
    with running(scripted(token=Reply(400, b'{"error":"invalid_client"}'))) as hub:
        with pytest.raises(Unauthorized) as caught:
            Client(hub).hub.get("/v1/thing")
    assert "invalid_client" in caught.value.message
    assert caught.value.hint is not None
    assert "operator" in caught.value.hint


def test_a_problem_becomes_our_error_with_field_rule_and_hint() -> None:
    refused = problem(
        422, "FIELD_DENIED", detail="not in the consent", field="photo", rule="C07-field", hint="ask"
    )
    with running(scripted(thing=refused)) as hub:
        with pytest.raises(FieldDenied) as caught:
            Client(hub).hub.post("/v1/thing", {})
    error = caught.value
    assert (error.message, error.field, error.rule, error.hint) == (
        "not in the consent",
        "photo",
        "C07-field",
        "ask",
    )
    assert error.detail["status"] == 422


def test_an_unknown_code_is_still_a_refusal_with_its_document() -> None:
    with running(scripted(thing=problem(418, "NEW_CODE", detail="later version"))) as hub:
        with pytest.raises(HubRefused) as caught:
            Client(hub).hub.get("/v1/thing")
    assert caught.value.problem["code"] == "NEW_CODE"


def test_control_characters_of_a_problem_never_reach_the_terminal() -> None:
    with running(scripted(thing=problem(410, "CONSENT_WITHDRAWN", detail="gone\x1b[31m"))) as hub:
        with pytest.raises(ConsentWithdrawn) as caught:
            Client(hub).hub.get("/v1/thing")
    assert caught.value.message == "gone [31m"


def test_a_hub_that_is_not_there_is_unreachable_after_two_more_tries() -> None:
    with running(scripted()) as hub:
        client = Client(hub)
    with pytest.raises(HubUnreachable) as caught:
        client.hub.get("/v1/thing")
    assert tuple(client.slept) == PAUSES_SECONDS
    assert caught.value.hint is not None


def test_a_dropped_connection_is_tried_again_where_it_is_safe() -> None:
    with running(scripted(thing=in_turn(Reply(drop=True), answer({"ok": 1})))) as hub:
        assert Client(hub).hub.post("/v1/thing", {})[1] == {"ok": 1}
    proofs = {one.headers["DPoP"] for one in hub.of("/v1/thing")}
    assert len(proofs) == 2


def test_a_dropped_connection_is_not_tried_again_where_it_is_not_safe() -> None:
    with running(scripted(thing=Reply(drop=True))) as hub:
        with pytest.raises(HubUnreachable):
            Client(hub).hub.post("/v1/thing", {}, repeatable=False)
    assert len(hub.of("/v1/thing")) == 1


def test_a_busy_hub_is_given_the_time_it_asks_for() -> None:
    busy = problem(503, "UNAVAILABLE")
    busy.headers["Retry-After"] = "7"
    with running(scripted(thing=in_turn(busy, answer({"ok": 1})))) as hub:
        client = Client(hub)
        assert client.hub.get("/v1/thing") == {"ok": 1}
    assert client.slept == [7.0]
    with running(scripted(thing=problem(503, "UNAVAILABLE"))) as hub, pytest.raises(Unavailable):
        Client(hub).hub.get("/v1/thing")


def test_a_proxy_that_answers_for_the_hub_is_unreachable() -> None:
    with (
        running(scripted(thing=Reply(502, b"<html>bad gateway</html>"))) as hub,
        pytest.raises(HubUnreachable),
    ):
        Client(hub).hub.get("/v1/thing")


def test_a_redirect_is_never_followed() -> None:
    with running(scripted(thing=Reply(302, b"", {"Location": "http://127.0.0.1:1/"}))) as hub:
        with pytest.raises(HubRefused):
            Client(hub).hub.get("/v1/thing")
    assert len(hub.of("/v1/thing")) == 1


def test_a_netrc_file_never_replaces_the_token(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w") as file:
        file.write("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", netrc)
    with running(scripted(thing=answer({}))) as hub:
        Client(hub).hub.get("/v1/thing")
    assert hub.of("/v1/thing")[0].headers["Authorization"].startswith("DPoP ")


@pytest.mark.parametrize(("ahead", "words"), [(3600, "3600 seconds ahead of"), (-900, "900 seconds behind")])
def test_a_wrong_clock_is_named_with_its_seconds(ahead: int, words: str) -> None:
    hub_date = format_datetime(NOW - timedelta(seconds=ahead), usegmt=True)
    refused = Reply(400, b'{"error":"invalid_client"}', date=hub_date)
    with running(scripted(token=refused)) as hub, pytest.raises(ClockSkew) as caught:
        Client(hub, lambda: NOW).hub.get("/v1/thing")
    assert words in caught.value.message
    assert caught.value.detail["seconds"] == ahead


def test_a_clock_that_is_slightly_off_is_tolerated_while_all_is_well_and_named_when_refused() -> None:
    hub_date = format_datetime(NOW - timedelta(seconds=60), usegmt=True)
    token = Reply(200, TOKEN.body, date=hub_date)
    with running(scripted(token=token, thing=Reply(200, b'{"ok":1}', date=hub_date))) as hub:
        assert Client(hub, lambda: NOW).hub.get("/v1/thing") == {"ok": 1}
    refused = problem(401, "UNAUTHORIZED")
    refused.date = hub_date
    with running(scripted(token=token, thing=refused)) as hub, pytest.raises(ClockSkew):
        Client(hub, lambda: NOW).hub.get("/v1/thing")


def test_receipts_of_answers_and_refusals_are_kept_with_the_request_they_belong_to() -> None:
    receipt = {"entry": "e", "proof": "p"}
    with running(
        scripted(thing=in_turn(answer({"receipt": receipt}), problem(403, "FORBIDDEN", receipt=receipt)))
    ) as hub:
        client = Client(hub)
        client.hub.get("/v1/thing")
        with pytest.raises(Exception, match="FORBIDDEN"):
            client.hub.get("/v1/thing")
    expected = [b64u(sha256(one.headers["DPoP"].encode())) for one in hub.of("/v1/thing")]
    assert [one.request for one in client.kept] == expected


def test_receipt_ids_of_binary_and_token_answers_are_noted() -> None:
    token = Reply(200, TOKEN.body, {"Homeward-Receipt": "entry-of-token"})
    part = Reply(200, b"ciphertext" * 10_000, {"Homeward-Receipt": "entry-of-part"})
    with running(scripted(token=token, part=part)) as hub:
        client = Client(hub)
        with client.hub.download("/v1/part") as coming:
            assert (coming.start, b"".join(coming.pieces)) == (0, part.body)
    assert client.noted == ["entry-of-token", "entry-of-part"]


def test_a_refused_download_is_the_problem_and_no_bytes() -> None:
    with (
        running(scripted(part=problem(404, "NOT_FOUND"))) as hub,
        pytest.raises(Exception, match="NOT_FOUND"),
    ):
        with Client(hub).hub.download("/v1/part") as coming:
            list(coming.pieces)


def test_the_rest_of_a_download_is_asked_for_by_its_tag() -> None:
    rest = Reply(206, b"56789", {"Content-Range": "bytes 5-9/10", "ETag": '"tag"'})
    with running(scripted(part=rest)) as hub:
        with Client(hub).hub.download("/v1/part", start=5, tag="tag") as coming:
            assert (coming.start, b"".join(coming.pieces)) == (5, b"56789")
    (asked,) = hub.of("/v1/part")
    assert (asked.headers["Range"], asked.headers["If-Range"]) == ("bytes=5-", '"tag"')


def test_other_bytes_come_whole_and_say_so() -> None:
    with running(scripted(part=Reply(200, b"whole"))) as hub:
        with Client(hub).hub.download("/v1/part", start=5, tag="tag") as coming:
            assert (coming.start, b"".join(coming.pieces)) == (0, b"whole")


@pytest.mark.parametrize("said", ["bytes 4-9/10", "bytes 5-9/*", "bytes */10", "items 5-9/10", "5-9/10", ""])
def test_another_range_than_the_one_asked_for_is_refused(said: str) -> None:
    with running(scripted(part=Reply(206, b"56789", {"Content-Range": said}))) as hub:
        with pytest.raises(HubRefused), Client(hub).hub.download("/v1/part", start=5, tag="tag"):
            pass


def test_a_download_whose_proof_lacks_the_newest_nonce_is_asked_for_again() -> None:
    stale = problem(401, "UNAUTHORIZED")
    stale.headers["DPoP-Nonce"] = "newest"
    with running(scripted(part=in_turn(stale, Reply(200, b"whole")))) as hub:
        with Client(hub).hub.download("/v1/part") as coming:
            assert b"".join(coming.pieces) == b"whole"
    assert len(hub.of("/v1/part")) == 2


def test_an_upload_is_streamed_and_begins_anew_with_every_attempt() -> None:
    with running(scripted(part=in_turn(Reply(drop=True), answer({"ok": 1}, 201)))) as hub:
        assert Client(hub).hub.put("/v1/part", b"x" * 100_000, {}) == {"ok": 1}
    assert [len(one.body) for one in hub.of("/v1/part")] == [100_000, 100_000]
    assert hub.of("/v1/part")[1].headers["Content-Length"] == "100000"


@pytest.mark.parametrize("body", [b"not json", b'{"a":1,"a":2}', b"[]", b'{"n":NaN}'])
def test_an_answer_that_is_not_strict_json_is_refused(body: bytes) -> None:
    with running(scripted(thing=Reply(200, body))) as hub, pytest.raises(HubRefused):
        Client(hub).hub.get("/v1/thing")


@pytest.mark.parametrize("body", [b"{}", b'{"access_token":"t","token_type":"Bearer","expires_in":1}', b"x"])
def test_a_token_answer_without_a_bound_token_is_refused(body: bytes) -> None:
    with running(scripted(token=Reply(200, body))) as hub, pytest.raises(HubRefused):
        Client(hub).hub.get("/v1/thing")
