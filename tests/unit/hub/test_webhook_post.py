"""Which addresses an agency may name, and which addresses count as public."""

from ipaddress import ip_address

import pytest

from exchange.hub.webhooks.post import check_url, public
from exchange_schemas.errors import Malformed


@pytest.mark.parametrize(
    "url",
    [
        "https://ngo.example/homeward",
        "https://ngo.example:8443/a?b=c",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]/in",
    ],
)
def test_a_plain_https_address_is_taken(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://ngo.example/", "ftp://ngo.example/", "https:///path", "https://user:pass@ngo.example/",
        "https://ngo.example/#part", "https://ngo.example:22/", "https://ngo.example:99999/", "https://[::1/",
        "https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest", "https://10.0.0.1/",
        "https://[::ffff:10.0.0.1]/", "https://ngo.example/ x", "https://ngo.example/\n", "https://ngö.example/",
        "https://ngo.example/" + "x" * 300, "", "https://",
    ],
)  # fmt: skip
def test_attack_23_every_other_address_is_refused(url: str) -> None:
    with pytest.raises(Malformed) as refused:
        check_url(url)
    assert refused.value.field == "url"


def test_attack_23_public_addresses_are_public_and_their_mapped_forms_too() -> None:
    for text in ("1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"):
        assert public(ip_address(text)), text
