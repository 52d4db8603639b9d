"""A world on each database in turn: an NGO that sends, an embassy and a commission that receive."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.engine import make_url

from exchange.hub.app import create_app_from
from exchange.hub.blobs import FolderBlobs
from exchange.hub.db import open_engine
from exchange.hub.services.hub import Hub, utc_now
from exchange_keys.jose import AuthKey
from tests.integration.conftest import POSTGRES, SQLITE
from tests.integration.conftest import _postgres_urls as postgres_urls
from tests.integration.conftest import _settings as new_hub_settings
from tests.integration.http.conftest import Member
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import World

TRIO: dict[str, dict[str, Any]] = {
    "ngo": {},
    "embassy": {"kind": "embassy", "country": "MA", "public_authority": True},
    "commission": {"kind": "commission"},
}


@pytest.fixture
def make_world(make_hub: Callable[..., Hub]) -> Callable[..., World]:
    """A new hub (keywords as `make_hub`) with `ngo`, `embassy` and `commission` in its directory."""

    def make(**changes: object) -> World:
        world = World(make_hub(**changes))
        world.start_directory()
        world.admit_all(TRIO)
        return world

    return make


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


@pytest.fixture
def ngo(world: World) -> Agency:
    return world.agencies["ngo"]


@pytest.fixture
def embassy(world: World) -> Agency:
    return world.agencies["embassy"]


@pytest.fixture
def commission(world: World) -> Agency:
    return world.agencies["commission"]


@pytest.fixture(scope="module", params=[SQLITE, pytest.param(POSTGRES, marks=pytest.mark.postgres)])
def shared_hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """One hub for all tests of a file that leave nothing behind but agencies, on each database in turn."""
    folder = tmp_path_factory.mktemp("shared")
    if request.param == SQLITE:
        settings = new_hub_settings(folder)
        target = Path(f"{make_url(settings.database_url).database}")
        target.parent.mkdir(parents=True)
        shutil.copy(request.getfixturevalue("sqlite_template"), target)
    else:
        server = request.getfixturevalue("postgres_server")
        name = server.create(template=server.template)
        settings = new_hub_settings(folder, **postgres_urls(server, name))
    keys = request.getfixturevalue("hub_keys")
    engine = open_engine(settings.database_url)
    yield Hub(settings, engine, utc_now, os.urandom, keys, FolderBlobs(settings.blobs_dir))
    engine.dispose()
    if request.param == POSTGRES:
        server.drop(name)


@pytest.fixture
def shared(shared_hub: Hub) -> World:
    """New agencies on the shared hub: `ngo`, `embassy`, `commission`, under names of their own."""
    world = World(shared_hub)
    world.find_directory()
    number = os.urandom(4).hex()
    made = world.admit_all({f"{name}-{number}": changes for name, changes in TRIO.items()})
    world.agencies.update(zip(TRIO, made, strict=True))
    return world


@pytest.fixture(scope="module")
def client(shared_hub: Hub) -> FlaskClient:
    """The shared hub over HTTP."""
    return create_app_from(shared_hub).test_client()


@pytest.fixture
def login(shared: World, client: FlaskClient) -> Callable[[Agency], Member]:
    """Make an agency's program, with a token for all that its kind may do."""

    def make(agency: Agency) -> Member:
        key = AuthKey.generate("ES256")
        shared.add_key(agency, "auth", key.public)
        return Member(shared.hub, client, agency.id, key).login()

    return make
