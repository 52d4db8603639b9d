"""The hub's settings: read once from `HOMEWARD_*`, checked, frozen.

A missing, unknown or weak value stops the start and names itself. Nothing here may read a secret: the
settings say where the passphrase comes from, not what it is. Every default is the safe one; a switch that
weakens anything is called `INSECURE_…` and is refused in production.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from exchange_schemas.errors import ConfigInvalid, Malformed
from exchange_schemas.ids import check_origin

PREFIX: Final = "HOMEWARD_"
OF_MEMBERS: Final = frozenset({"HOME", "USER", "LANG", "KEYRING", "OFFLINE"})
"""What the agency's and the auditor's programs read; who works with both on one machine has them set."""
_SQLITE: Final = "sqlite"
_POSTGRES: Final = "postgresql+psycopg"
_THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_BUCKET: Final = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._-]+)*")
_ENDPOINT: Final = re.compile(r"(https?)://[a-z0-9.:\[\]-]+(/[A-Za-z0-9._-]+)*")
_HOST: Final = re.compile(r"[a-z0-9.-]+|\[[0-9a-f:]+\]")
_MAX_TOKEN_LIFETIME_S: Final = 300
_MAX_WORKERS: Final = 64
_MAX_RATE: Final = 10_000_000
_WIDEST_PROXIES: Final = 8
_MAX_PROOF_DAYS: Final = 36_500
_MAX_KEEP_DAYS: Final = 365

Environment = Literal["production", "development"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one hub runs with. `guard_dir` belongs on another volume than `data_dir` (see operations.md)."""

    data_dir: Path
    origin: str
    base_url: str
    database_url: str = field(repr=False)
    guard_dir: Path
    owner_database_url: str | None = field(default=None, repr=False)
    key_passphrase_file: Path | None = None
    key_passphrase_fd: int | None = None
    token_lifetime_s: int = _MAX_TOKEN_LIFETIME_S
    dpop_nonce: bool = False
    workers: int = 2
    # Requests in ten seconds: of one agency; of one address without proof; refused proofs of one address.
    rate_agency: int = 600
    rate_address: int = 100
    rate_failures: int = 20
    # Whose X-Forwarded-For is believed: nobody's, unless named.
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    # PEM files with which `serve` ends TLS itself; with a client CA it talks to that CA's clients alone.
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    # The C2SP tlog-policy file that names who witnesses the two logs.
    witness_policy: Path | None = None
    # Where the audit log's files are written besides: a folder, or s3://bucket/prefix at an S3-like service.
    tiles: str | None = None
    tiles_endpoint: str | None = None
    # How long the callers' signed proofs are kept beside the audit log.
    proof_days: int = 365
    # How long a ciphertext stays after its deposit once its recipient has answered with a receipt.
    keep_delivered_days: int = 30
    environment: Environment = "production"
    insecure_http: bool = False
    insecure_kdf: bool = False

    def __post_init__(self) -> None:
        """Refuse what no hub may run with, however the values came. Raises: ConfigInvalid."""
        _check_origin(self.origin)
        _check_base_url(self.base_url, plain_allowed=self.insecure_http)
        _check_databases(self.database_url, self.owner_database_url)
        if self.environment == "production":
            _check_encrypted("DATABASE_URL", self.database_url)
            _check_encrypted("OWNER_DATABASE_URL", self.owner_database_url)
        _check_folders(self.data_dir, self.guard_dir)
        _check_passphrase(self.key_passphrase_file, self.key_passphrase_fd)
        _check_tls(self.tls_certificate, self.tls_key, self.tls_client_ca)
        absolute = self.witness_policy is None or self.witness_policy.is_absolute()
        _require("WITNESS_POLICY", absolute, "must be an absolute path")
        _check_tiles(self.tiles, (self.data_dir, self.guard_dir))
        _check_endpoint(self.tiles_endpoint, self.tiles, plain_allowed=self.environment == "development")
        _require(
            "TOKEN_LIFETIME_S",
            1 <= self.token_lifetime_s <= _MAX_TOKEN_LIFETIME_S,
            "must be 1 to 300 seconds",
        )
        for name, rate in (
            ("RATE_AGENCY", self.rate_agency),
            ("RATE_ADDRESS", self.rate_address),
            ("RATE_FAILURES", self.rate_failures),
        ):
            _require(name, 1 <= rate <= _MAX_RATE, f"must be 1 to {_MAX_RATE} requests in ten seconds")
        narrow = all(network.prefixlen >= _WIDEST_PROXIES for network in self.trusted_proxies)
        _require("TRUSTED_PROXIES", narrow, f"must name proxies, not networks wider than /{_WIDEST_PROXIES}")
        _require(
            "PROOF_DAYS", 1 <= self.proof_days <= _MAX_PROOF_DAYS, f"must be 1 to {_MAX_PROOF_DAYS} days"
        )
        _require(
            "KEEP_DELIVERED_DAYS",
            1 <= self.keep_delivered_days <= _MAX_KEEP_DAYS,
            f"must be 1 to {_MAX_KEEP_DAYS} days",
        )
        _require("WORKERS", 1 <= self.workers <= _MAX_WORKERS, f"must be 1 to {_MAX_WORKERS}")
        _require(
            "ENVIRONMENT",
            self.environment in ("production", "development"),
            "must be production or development",
        )
        for name, value in (("INSECURE_HTTP", self.insecure_http), ("INSECURE_KDF", self.insecure_kdf)):
            _require(name, not (value and self.environment == "production"), "is refused in production")

    @property
    def is_sqlite(self) -> bool:
        """Whether the embedded database is used."""
        return make_url(self.database_url).drivername == _SQLITE

    @property
    def audit_log(self) -> str:
        """The audit log's origin line and key name (C2SP tlog-checkpoint)."""
        return f"{self.origin}/audit"

    @property
    def directory_log(self) -> str:
        """The key directory's origin line and key name (C2SP tlog-checkpoint)."""
        return f"{self.origin}/directory"

    @property
    def keys_dir(self) -> Path:
        """The folder of the hub's own key files."""
        return self.data_dir / "keys"

    @property
    def blobs_dir(self) -> Path:
        """The folder of large sealed parts."""
        return self.data_dir / "blobs"

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> "Settings":
        """Read every `HOMEWARD_*` name of `env` but those of the member programs; others are not looked at.

        Raises: ConfigInvalid, naming the variable, when one is missing, unknown, malformed or weak.
        """
        named = {name.removeprefix(PREFIX): value for name, value in env.items() if name.startswith(PREFIX)}
        given = {name: value for name, value in named.items() if name not in OF_MEMBERS}
        known = {one.name.upper(): one for one in fields(cls)}
        for name in sorted(given.keys() - known.keys()):
            raise _invalid(name, "is not a setting of the hub")
        for name, text in given.items():
            _require(name, text.strip() == text and text != "", "is empty or has spaces around it")
        for name, one in known.items():
            _require(name, name in given or one.default is not MISSING, "is not set")
        return cls(
            **{known[name].name: _READ.get(name, _as_it_is)(name, text) for name, text in given.items()}
        )


def _invalid(name: str, why: str) -> ConfigInvalid:
    return ConfigInvalid(f"{PREFIX}{name} {why}", field=f"{PREFIX}{name}")


def _require(name: str, holds: bool, why: str) -> None:
    if not holds:
        raise _invalid(name, why)


def _as_it_is(_name: str, text: str) -> str:
    return text


def _path(_name: str, text: str) -> Path:
    return Path(text)


def _whole(name: str, text: str) -> int:
    _require(name, re.fullmatch(r"[0-9]{1,9}", text) is not None, "must be a whole number")
    return int(text)


def _switch(name: str, text: str) -> bool:
    _require(name, text in ("0", "1"), "must be 0 or 1")
    return text == "1"


def _networks(name: str, text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(item.strip()) for item in text.split(","))
    except ValueError:
        raise _invalid(
            name, "must be addresses or networks such as 10.0.0.5 or 10.0.0.0/24, with commas"
        ) from None


_READ: Final[Mapping[str, Callable[[str, str], Any]]] = {
    **dict.fromkeys(("DATA_DIR", "GUARD_DIR", "KEY_PASSPHRASE_FILE", "WITNESS_POLICY"), _path),
    **dict.fromkeys(("TLS_CERTIFICATE", "TLS_KEY", "TLS_CLIENT_CA"), _path),
    **dict.fromkeys(("KEY_PASSPHRASE_FD", "TOKEN_LIFETIME_S", "WORKERS"), _whole),
    **dict.fromkeys(("RATE_AGENCY", "RATE_ADDRESS", "RATE_FAILURES"), _whole),
    **dict.fromkeys(("PROOF_DAYS", "KEEP_DELIVERED_DAYS"), _whole),
    **dict.fromkeys(("DPOP_NONCE", "INSECURE_HTTP", "INSECURE_KDF"), _switch),
    "TRUSTED_PROXIES": _networks,
}
"""How the text of a setting is read; those that are not here are texts."""


def _check_origin(origin: str) -> None:
    try:
        check_origin(f"{origin}/directory", field=f"{PREFIX}ORIGIN")
    except Malformed:
        raise _invalid(
            "ORIGIN", "must be a deployment's name in lower case, such as exchange.example"
        ) from None


def _check_base_url(base_url: str, *, plain_allowed: bool) -> None:
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _invalid("BASE_URL", "is not a URL") from None
    _require("BASE_URL", host is not None, "must be https://host or https://host:port")
    if parts.scheme != "https" and not (parts.scheme == "http" and plain_allowed):
        raise _invalid("BASE_URL", "must be https")
    # Rebuilding it refuses user names, paths, queries, upper case and a default port in one comparison:
    # the URL is compared byte for byte in DPoP proofs and assertions.
    shown = f"[{host}]" if ":" in f"{host}" else f"{host}"
    default = {"https": 443, "http": 80}[parts.scheme]
    exact = f"{parts.scheme}://{shown}" + ("" if port in (None, default) else f":{port}")
    _require(
        "BASE_URL",
        exact == base_url,
        "must be scheme, host and port only, in lower case, no slash at its end",
    )
    _require("BASE_URL", _HOST.fullmatch(shown) is not None, "has a host that is not a DNS name or address")


def _check_databases(worker: str, owner: str | None) -> None:
    driver = _driver("DATABASE_URL", worker)
    if driver == _SQLITE:
        _require("OWNER_DATABASE_URL", owner is None, "has no meaning with SQLite, which has no roles")
        return
    if owner is None:
        return
    _require("OWNER_DATABASE_URL", _driver("OWNER_DATABASE_URL", owner) == driver, "must be PostgreSQL too")
    roles = make_url(worker).username, make_url(owner).username
    _require("OWNER_DATABASE_URL", None not in roles, "and the worker's URL must both name their role")
    _require("OWNER_DATABASE_URL", roles[0] != roles[1], "must name another role than the worker's")


def _check_encrypted(name: str, text: str | None) -> None:
    """A database on another machine is reached over TLS, its certificate and name checked (libpq)."""
    url = None if text is None else make_url(text)
    if url is None or url.drivername != _POSTGRES:
        return
    asked = {key: value if isinstance(value, str) else ",".join(value) for key, value in url.query.items()}
    hosts = f"{asked.get('host', url.host or '')},{asked.get('hostaddr', '')}".split(",")
    near = all(host == "" or host.startswith("/") or host in _THIS_MACHINE for host in hosts)
    _require(
        name, near or asked.get("sslmode") == "verify-full", "needs sslmode=verify-full for another machine"
    )


def _driver(name: str, text: str) -> str:
    try:
        url = make_url(text)
    except ArgumentError:
        raise _invalid(name, "is not a database URL") from None
    if url.drivername == _SQLITE:
        path = "" if url.database is None else url.database
        plain = path.startswith("/") and not url.query and url.host in (None, "")
        _require(name, plain, "must be sqlite:////absolute/path without options")
    elif url.drivername != _POSTGRES:
        raise _invalid(name, f"must begin with sqlite:/// or {_POSTGRES}://")
    return url.drivername


def _check_folders(data_dir: Path, guard_dir: Path) -> None:
    for name, folder in (("DATA_DIR", data_dir), ("GUARD_DIR", guard_dir)):
        _require(name, folder.is_absolute() and ".." not in folder.parts, "must be an absolute path")
    # A guard that is backed up and restored with the data guards nothing.
    apart = not guard_dir.is_relative_to(data_dir) and not data_dir.is_relative_to(guard_dir)
    _require("GUARD_DIR", apart, "must not lie in DATA_DIR, nor DATA_DIR in it: it belongs on another volume")


def _check_tiles(tiles: str | None, folders: tuple[Path, Path]) -> None:
    if tiles is None or _BUCKET.fullmatch(tiles) is not None:
        return
    path = Path(tiles)
    plain = path.is_absolute() and ".." not in path.parts
    _require("TILES", plain, "must be an absolute path or s3://bucket/prefix")
    # What a file server is pointed at must not be where the keys are.
    apart = all(not path.is_relative_to(one) and not one.is_relative_to(path) for one in folders)
    _require("TILES", apart, "must not lie in DATA_DIR or GUARD_DIR, nor one of them in it")


def _check_endpoint(endpoint: str | None, tiles: str | None, *, plain_allowed: bool) -> None:
    if endpoint is None:
        return
    bucket = tiles is not None and tiles.startswith("s3://")
    _require("TILES_ENDPOINT", bucket, "has a meaning only when HOMEWARD_TILES names a bucket")
    match = _ENDPOINT.fullmatch(endpoint)
    secure = match is not None and (match[1] == "https" or plain_allowed)
    _require("TILES_ENDPOINT", secure, "must be the https address of an S3-compatible service")


def _check_tls(certificate: Path | None, key: Path | None, client_ca: Path | None) -> None:
    for name, file in (("TLS_CERTIFICATE", certificate), ("TLS_KEY", key), ("TLS_CLIENT_CA", client_ca)):
        _require(name, file is None or file.is_absolute(), "must be an absolute path")
    _require("TLS_KEY", (certificate is None) == (key is None), "and TLS_CERTIFICATE need one another")
    _require("TLS_CLIENT_CA", client_ca is None or key is not None, "has a meaning only with TLS_CERTIFICATE")


def _check_passphrase(file: Path | None, fd: int | None) -> None:
    _require("KEY_PASSPHRASE_FILE", file is None or fd is None, "and KEY_PASSPHRASE_FD exclude one another")
    _require("KEY_PASSPHRASE_FILE", file is None or file.is_absolute(), "must be an absolute path")
    _require("KEY_PASSPHRASE_FD", fd is None or fd > 2, "must be a descriptor over 2")
