"""Where a hub may speak plain HTTP: to a proxy on its own machine, and in production to nobody else."""

from dataclasses import replace
from pathlib import Path

import pytest

from exchange.hub.admin.tls import tls_of
from exchange.hub.settings import Settings
from exchange_schemas.errors import ConfigInvalid

PRODUCTION = Settings(
    origin="exchange.example",
    base_url="https://exchange.example",
    database_url="sqlite:////srv/hub/hub.sqlite",
    data_dir=Path("/srv/hub"),
    guard_dir=Path("/guard/hub"),
)
DEVELOPMENT = replace(PRODUCTION, environment="development")
NEAR = ("127.0.0.1", "127.0.0.5", "::1", "localhost")
FAR = ("0.0.0.0", "::", "10.0.0.5", "2001:db8::5", "hub.internal", "localhost.example", "::ffff:10.0.0.5")


@pytest.mark.parametrize("host", NEAR)
def test_a_proxy_on_this_machine_may_be_answered_in_plain_http(host: str) -> None:
    assert tls_of(PRODUCTION, host) is None


@pytest.mark.parametrize("host", FAR)
def test_production_never_speaks_plain_http_to_a_network(host: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        tls_of(PRODUCTION, host)
    assert caught.value.field == "HOMEWARD_TLS_CERTIFICATE"
    assert host in caught.value.message
    assert tls_of(DEVELOPMENT, host) is None
