"""Settings: what is missing, unknown, malformed or weak stops the start and names itself."""

from pathlib import Path
from typing import Any

import pytest

from exchange.hub.settings import Settings
from exchange_schemas.errors import ConfigInvalid

GOOD = {
    "HOMEWARD_ORIGIN": "exchange.example",
    "HOMEWARD_BASE_URL": "https://exchange.example",
    "HOMEWARD_DATABASE_URL": "sqlite:////srv/hub/hub.sqlite",
    "HOMEWARD_DATA_DIR": "/srv/hub",
    "HOMEWARD_GUARD_DIR": "/guard/hub",
}
POSTGRES = "postgresql+psycopg://worker@/hub?host=/run/pg"
OWNER = "postgresql+psycopg://owner@/hub?host=/run/pg"


def refused(**changes: str | None) -> str:
    env: dict[str, str | None] = {**GOOD, **{f"HOMEWARD_{name}": value for name, value in changes.items()}}
    with pytest.raises(ConfigInvalid) as caught:
        Settings.from_environment({name: value for name, value in env.items() if value is not None})
    assert caught.value.field is not None
    return caught.value.field.removeprefix("HOMEWARD_")


def read(**changes: str) -> Settings:
    return Settings.from_environment(
        {**GOOD, **{f"HOMEWARD_{name}": value for name, value in changes.items()}}
    )


def test_the_defaults_are_the_safe_ones() -> None:
    settings = Settings.from_environment({**GOOD, "PATH": "/bin", "OTHER_ORIGIN": "x"})
    assert settings.environment == "production"
    assert (settings.token_lifetime_s, settings.dpop_nonce, settings.workers) == (300, False, 2)
    assert (settings.insecure_http, settings.insecure_kdf) == (False, False)
    assert (settings.data_dir, settings.guard_dir) == (Path("/srv/hub"), Path("/guard/hub"))
    assert (settings.keys_dir, settings.blobs_dir) == (Path("/srv/hub/keys"), Path("/srv/hub/blobs"))
    assert (settings.audit_log, settings.directory_log) == (
        "exchange.example/audit",
        "exchange.example/directory",
    )
    assert settings.is_sqlite
    assert (settings.rate_agency, settings.rate_address, settings.rate_failures) == (600, 100, 20)
    assert settings.trusted_proxies == ()
    assert settings.witness_policy is None
    assert (settings.tls_certificate, settings.tls_key, settings.tls_client_ca) == (None, None, None)
    assert (settings.tiles, settings.tiles_endpoint) == (None, None)


def test_every_setting_can_be_given() -> None:
    settings = read(
        DATABASE_URL=POSTGRES,
        OWNER_DATABASE_URL=OWNER,
        KEY_PASSPHRASE_FILE="/run/secrets/passphrase",
        TOKEN_LIFETIME_S="60",
        DPOP_NONCE="1",
        WORKERS="8",
        ENVIRONMENT="development",
        INSECURE_HTTP="1",
        INSECURE_KDF="1",
        BASE_URL="http://localhost:8080",
    )
    assert not settings.is_sqlite
    assert settings.owner_database_url == OWNER
    assert settings.key_passphrase_file == Path("/run/secrets/passphrase")
    assert (settings.token_lifetime_s, settings.dpop_nonce, settings.workers) == (60, True, 8)
    assert (settings.insecure_http, settings.insecure_kdf, settings.environment) == (
        True,
        True,
        "development",
    )
    assert read(KEY_PASSPHRASE_FD="3").key_passphrase_fd == 3
    rates = read(RATE_AGENCY="50", RATE_ADDRESS="7", RATE_FAILURES="3")
    assert (rates.rate_agency, rates.rate_address, rates.rate_failures) == (50, 7, 3)
    secured = read(
        TLS_CERTIFICATE="/etc/tls/hub.pem", TLS_KEY="/etc/tls/hub.key", TLS_CLIENT_CA="/etc/tls/ca.pem"
    )
    assert (secured.tls_certificate, secured.tls_key, secured.tls_client_ca) == (
        Path("/etc/tls/hub.pem"),
        Path("/etc/tls/hub.key"),
        Path("/etc/tls/ca.pem"),
    )
    assert read(WITNESS_POLICY="/etc/homeward.policy").witness_policy == Path("/etc/homeward.policy")
    assert read(TILES="/srv/log").tiles == "/srv/log"
    bucket = read(TILES="s3://homeward-log/a/b", TILES_ENDPOINT="https://objects.example:9000/x")
    assert (bucket.tiles, bucket.tiles_endpoint) == (
        "s3://homeward-log/a/b",
        "https://objects.example:9000/x",
    )
    proxies = read(TRUSTED_PROXIES="10.0.0.5, 10.1.0.0/24,fd00::1").trusted_proxies
    assert [str(network) for network in proxies] == ["10.0.0.5/32", "10.1.0.0/24", "fd00::1/128"]


@pytest.mark.parametrize("name", ["ORIGIN", "BASE_URL", "DATABASE_URL", "DATA_DIR", "GUARD_DIR"])
def test_a_missing_or_blank_value_names_itself(name: str) -> None:
    assert refused(**{name: None}) == name
    assert refused(**{name: ""}) == name
    assert refused(**{name: f" {GOOD[f'HOMEWARD_{name}']}"}) == name


def test_an_unknown_name_is_refused() -> None:
    assert refused(TOKEN_LIFETIME="60") == "TOKEN_LIFETIME"
    assert refused(INSECURE="1") == "INSECURE"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RATE_AGENCY", "0"),
        ("RATE_ADDRESS", "-1"),
        ("RATE_FAILURES", "99999999"),
        ("RATE_AGENCY", "many"),
        ("TRUSTED_PROXIES", "0.0.0.0/0"),
        ("TRUSTED_PROXIES", "::/0"),
        ("TRUSTED_PROXIES", "proxy.example"),
        ("TRUSTED_PROXIES", "10.0.0.5/24"),
        ("TRUSTED_PROXIES", "10.0.0.5,"),
        ("TRUSTED_PROXIES", "*"),
        ("TILES", "log"),
        ("TILES", "/srv/../log"),
        ("TILES", "/srv/hub/log"),
        ("TILES", "/srv"),
        ("TILES", "/guard/hub"),
        ("TILES", "s3://"),
        ("TILES", "s3://Bucket"),
        ("TILES", "s3://bucket/"),
        ("TILES", "https://bucket"),
        ("TILES_ENDPOINT", "https://objects.example"),
        ("TLS_KEY", "/etc/tls/hub.key"),
        ("TLS_KEY", "hub.key"),
        ("TLS_CERTIFICATE", "~/hub.pem"),
        ("TLS_CLIENT_CA", "/etc/tls/ca.pem"),
        ("TLS_CLIENT_CA", "ca.pem"),
        ("WITNESS_POLICY", "homeward.policy"),
        ("WITNESS_POLICY", "~/homeward.policy"),
        ("ORIGIN", "Exchange.example"),
        ("ORIGIN", "https://exchange.example"),
        ("ORIGIN", "a/b/c"),
        ("ORIGIN", "a+b"),
        ("BASE_URL", "http://exchange.example"),
        ("BASE_URL", "https://exchange.example/"),
        ("BASE_URL", "https://exchange.example/api"),
        ("BASE_URL", "https://Exchange.example"),
        ("BASE_URL", "https://user@exchange.example"),
        ("BASE_URL", "https://exchange.example?x=1"),
        ("BASE_URL", "https://exchange.example#x"),
        ("BASE_URL", "https://exchange.example:443"),
        ("BASE_URL", "https://exchange.example:99999"),
        ("BASE_URL", "https://exchange.example:0x"),
        ("BASE_URL", "https://exch%61nge.example"),
        ("BASE_URL", "https://[::1"),
        ("BASE_URL", "ftp://exchange.example"),
        ("BASE_URL", "exchange.example"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite:///relative.db"),
        ("DATABASE_URL", "sqlite:////srv/hub.db?mode=ro"),
        ("DATABASE_URL", "sqlite+aiosqlite:////srv/hub.db"),
        ("DATABASE_URL", "postgresql://worker@/hub"),
        ("DATABASE_URL", "mysql://worker@/hub"),
        ("DATABASE_URL", "not a url"),
        ("OWNER_DATABASE_URL", OWNER),
        ("DATA_DIR", "relative"),
        ("DATA_DIR", "/srv/../etc"),
        ("GUARD_DIR", "relative"),
        ("GUARD_DIR", "/srv/hub"),
        ("GUARD_DIR", "/srv/hub/guard"),
        ("GUARD_DIR", "/srv"),
        ("KEY_PASSPHRASE_FILE", "relative"),
        ("KEY_PASSPHRASE_FD", "2"),
        ("KEY_PASSPHRASE_FD", "-3"),
        ("TOKEN_LIFETIME_S", "0"),
        ("TOKEN_LIFETIME_S", "301"),
        ("TOKEN_LIFETIME_S", "1e2"),
        ("TOKEN_LIFETIME_S", "\u0663"),
        ("DPOP_NONCE", "yes"),
        ("WORKERS", "0"),
        ("WORKERS", "65"),
        ("ENVIRONMENT", "staging"),
        ("INSECURE_HTTP", "1"),
        ("INSECURE_KDF", "1"),
        ("INSECURE_KDF", "true"),
    ],
)
def test_a_malformed_or_weak_value_names_itself(name: str, value: str) -> None:
    assert refused(**{name: value}) == name


def test_plain_http_needs_its_switch_outside_production() -> None:
    assert refused(BASE_URL="http://localhost:80", ENVIRONMENT="development", INSECURE_HTTP="1") == "BASE_URL"
    assert refused(BASE_URL="http://localhost", ENVIRONMENT="development") == "BASE_URL"
    settings = read(BASE_URL="http://[::1]:8080", ENVIRONMENT="development", INSECURE_HTTP="1")
    assert settings.base_url == "http://[::1]:8080"


def test_a_passphrase_comes_from_one_place() -> None:
    assert refused(KEY_PASSPHRASE_FILE="/p", KEY_PASSPHRASE_FD="3") == "KEY_PASSPHRASE_FILE"


@pytest.mark.parametrize(
    ("worker", "owner"),
    [
        (POSTGRES, POSTGRES),
        (POSTGRES, "postgresql+psycopg:///hub"),
        ("postgresql+psycopg:///hub", OWNER),
        (POSTGRES, "sqlite:////srv/x.db"),
        (POSTGRES, "nonsense"),
    ],
)
def test_owner_and_worker_are_two_roles_of_postgresql(worker: str, owner: str) -> None:
    assert refused(DATABASE_URL=worker, OWNER_DATABASE_URL=owner) == "OWNER_DATABASE_URL"


def test_passwords_in_urls_are_not_shown() -> None:
    settings = read(DATABASE_URL="postgresql+psycopg://worker:hunter2@db/hub?sslmode=verify-full")
    assert "hunter2" not in repr(settings)


def test_settings_are_checked_however_they_are_made() -> None:
    values: dict[str, Any] = {
        "origin": "exchange.example",
        "base_url": "https://exchange.example",
        "database_url": POSTGRES,
        "data_dir": Path("/srv/hub"),
        "guard_dir": Path("/guard"),
    }
    assert Settings(**values).owner_database_url is None
    with pytest.raises(ConfigInvalid):
        Settings(**values, token_lifetime_s=86_400)


FAR = [
    "postgresql+psycopg://worker@db.example/hub",
    "postgresql+psycopg://worker@db.example/hub?sslmode=require",
    "postgresql+psycopg://worker@/hub?host=db.example",
    "postgresql+psycopg://worker@localhost/hub?hostaddr=192.0.2.7",
    "postgresql+psycopg://worker@/hub?host=/run/pg&host=db.example",
    "postgresql+psycopg://worker@localhost,db.example/hub",
]


@pytest.mark.parametrize("url", FAR)
def test_a_database_on_another_machine_is_reached_over_checked_tls(url: str) -> None:
    assert refused(DATABASE_URL=url) == "DATABASE_URL"
    assert refused(DATABASE_URL=POSTGRES, OWNER_DATABASE_URL=url.replace("worker", "owner")) == (
        "OWNER_DATABASE_URL"
    )
    joined = "&" if "?" in url else "?"
    checked = url.replace("sslmode=require", "x=1") + f"{joined}sslmode=verify-full"
    assert not read(DATABASE_URL=checked.replace("x=1&", "")).is_sqlite
    assert not read(DATABASE_URL=url, ENVIRONMENT="development").is_sqlite


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", ""])
def test_a_database_on_this_machine_needs_none(host: str) -> None:
    assert not read(DATABASE_URL=f"postgresql+psycopg://worker@{host}/hub").is_sqlite


def test_a_bucket_is_reached_over_https_outside_of_development() -> None:
    plain = {"TILES": "s3://homeward-log", "TILES_ENDPOINT": "http://127.0.0.1:9000"}
    assert refused(**plain) == "TILES_ENDPOINT"
    assert read(**plain, ENVIRONMENT="development").tiles_endpoint == "http://127.0.0.1:9000"
    assert refused(TILES="/srv/log", TILES_ENDPOINT="https://objects.example") == "TILES_ENDPOINT"
    assert (
        refused(TILES="s3://homeward-log", TILES_ENDPOINT="https://user@objects.example") == "TILES_ENDPOINT"
    )


@pytest.mark.parametrize("name", ["HOME", "USER", "LANG", "KEYRING", "OFFLINE"])
def test_what_the_member_programs_read_is_no_concern_of_the_hub(name: str) -> None:
    assert read(**{name: " "}) == read()
    assert refused(**{f"{name}S": "x"}) == f"{name}S"
