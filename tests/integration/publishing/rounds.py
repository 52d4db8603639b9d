"""A process that publishes round after round until it is killed, and tells when a round is done.

Run as `python -m tests.integration.publishing.rounds URL DATA_DIR AUDIT_SEED DIRECTORY_SEED POLICY`.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from exchange.hub.blobs import FolderBlobs
from exchange.hub.db import open_engine
from exchange.hub.hubkeys import HubKeys, TokenKey
from exchange.hub.services.hub import Hub, utc_now
from exchange.hub.services.publishing import Publisher
from exchange.hub.settings import Settings
from exchange.hub.witnesspolicy import check_policy
from exchange.log.policy import Policy
from exchange_keys.auth_key import AuthKey
from exchange_keys.signing import SigningKey


def main(url: str, folder: str, audit: str, directory: str, policy: str) -> None:
    settings = Settings(
        origin="exchange.example",
        base_url="https://exchange.example",
        database_url=url,
        data_dir=Path(folder) / "data",
        guard_dir=Path(folder) / "guard",
    )
    token = TokenKey(AuthKey.generate("ES256"), datetime(2026, 1, 1, tzinfo=UTC))
    logs = [SigningKey.from_seed(bytes.fromhex(seed)) for seed in (audit, directory)]
    keys = HubKeys((token,), *logs)
    named = check_policy(Policy.from_bytes(Path(policy).read_bytes()), plain_allowed=True)
    blobs = FolderBlobs(settings.blobs_dir)
    publisher = Publisher.of(Hub(settings, open_engine(url), utc_now, os.urandom, keys, blobs, named))
    while True:
        publisher.round()
        os.write(1, b"done\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
