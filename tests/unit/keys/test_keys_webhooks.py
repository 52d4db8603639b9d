"""Webhook signatures: the published example of Standard Webhooks, and what is refused."""

import pytest

from exchange_keys.webhooks import headers, new_secret, signature, verify
from exchange_schemas.errors import ExchangeError, Malformed, SigInvalid

# The example of the specification's reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
IDENT, AT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_published_example_is_met() -> None:
    assert signature(SECRET, IDENT, AT, BODY) == SIGNED
    verify(SECRET, IDENT, str(AT), SIGNED, BODY, now=AT)
    verify(SECRET.removeprefix("whsec_"), IDENT, str(AT), f"v1,AAAA {SIGNED} v2,x", BODY, now=AT + 300)


def test_a_message_bears_a_signature_under_each_secret() -> None:
    old, new = new_secret(), new_secret()
    said = headers((new, old), "msg_1", AT, BODY)
    assert set(said) == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    for secret in (old, new):
        verify(secret, "msg_1", said["webhook-timestamp"], said["webhook-signature"], BODY, now=AT)


@pytest.mark.parametrize(
    ("secret", "ident", "at", "signed", "body", "now"),
    [
        (new_secret(), IDENT, str(AT), SIGNED, BODY, AT),
        (SECRET, "msg_other", str(AT), SIGNED, BODY, AT),
        (SECRET, IDENT, str(AT + 1), SIGNED, BODY, AT),
        (SECRET, IDENT, str(AT), SIGNED[:-5] + "AAAA=", BODY, AT),
        (SECRET, IDENT, str(AT), SIGNED.replace("v1", "v2"), BODY, AT),
        (SECRET, IDENT, str(AT), "", BODY, AT),
        (SECRET, IDENT, str(AT), SIGNED, BODY + b" ", AT),
        (SECRET, IDENT, str(AT), SIGNED, BODY, AT + 301),
        (SECRET, IDENT, str(AT), SIGNED, BODY, AT - 301),
        (SECRET, IDENT, "soon", SIGNED, BODY, AT),
        (SECRET, IDENT, "-5", SIGNED, BODY, AT),
    ],
    # Not by their values: a new secret is another in every process.
    ids=range(11),
)
def test_everything_else_is_refused(
    secret: str, ident: str, at: str, signed: str, body: bytes, now: int
) -> None:
    with pytest.raises(SigInvalid):
        verify(secret, ident, at, signed, body, now=now)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_short", "whsec_!!!!", "whsec_" + "A" * 200])
def test_what_is_no_secret_is_refused(secret: str) -> None:
    with pytest.raises(Malformed):
        signature(secret, IDENT, AT, BODY)
    with pytest.raises(ExchangeError):
        new_secret(lambda size: bytes(size - 1))
