"""The log's files in a bucket: against moto's S3 server, over HTTP."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from exchange.hub.services.hub import Hub
from exchange.hub.services.tile_files import write_tiles, written_bundles
from exchange.hub.tilestore import TileStore, open_tiles
from exchange.log.tiles import tile_path
from exchange_schemas.errors import LogFork, Unavailable
from tests.integration.ports import free_port
from tests.integration.storage import only
from tests.integration.storage.logs import check_log, put

pytestmark = [pytest.mark.server, pytest.mark.enable_socket, only.SQLITE]
NAMES = count()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "x"), ("REGION", "eu-central-1")):
            patch.setenv(f"AWS_{name}", value)
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()


def bucket_of(hub: Hub, endpoint: str, name: str) -> TileStore:
    tiles = f"s3://{name}/hub.example/audit"
    settings = replace(hub.settings, environment="development", tiles=tiles, tiles_endpoint=endpoint)
    store = open_tiles(settings)
    assert store is not None
    return store


@pytest.fixture
def bucket(hub: Hub, endpoint: str) -> TileStore:
    import boto3

    name = f"homeward-log-{next(NAMES)}"
    where: Any = {"LocationConstraint": "eu-central-1"}
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket=name, CreateBucketConfiguration=where)
    return bucket_of(hub, endpoint, name)


def test_the_files_of_a_log_lie_under_the_prefix_and_are_created_once(hub: Hub, bucket: TileStore) -> None:
    for number in range(520):
        put(hub, number)
    assert write_tiles(hub, bucket).files == 4
    assert written_bundles(bucket) == 2
    entries = check_log(hub).entries
    found = bucket.read(tile_path(None, 1))
    assert found is not None
    assert entries[256] in found
    assert bucket.read(tile_path(None, 2)) is None
    assert write_tiles(hub, bucket).files == 0
    # Created, and never again.
    assert not bucket.create(tile_path(0, 0), b"another")
    assert bucket.read(tile_path(0, 0)) != b"another"
    bucket.set_mark("0\n")
    assert write_tiles(hub, bucket).files == 0
    assert written_bundles(bucket) == 2


def test_another_history_in_the_bucket_is_not_written_over(hub: Hub, bucket: TileStore) -> None:
    for number in range(256):
        put(hub, number)
    bucket.create(tile_path(None, 0), b"another")
    with pytest.raises(LogFork):
        write_tiles(hub, bucket)
    assert bucket.read(tile_path(None, 0)) == b"another"


def test_a_bucket_that_is_not_there_says_so_and_stops_nothing(hub: Hub, endpoint: str) -> None:
    for number in range(256):
        put(hub, number)
    with pytest.raises(Unavailable):
        write_tiles(hub, bucket_of(hub, endpoint, "nothing-here"))
    with pytest.raises(Unavailable):
        write_tiles(hub, bucket_of(hub, f"http://127.0.0.1:{free_port()}", "nothing-here"))
    check_log(hub)
