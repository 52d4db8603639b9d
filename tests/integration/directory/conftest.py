"""A governed hub on each database, with operator asha."""

import pytest

from exchange.hub.services.hub import Hub
from tests.integration.directory.people import Operators


@pytest.fixture
def operators(hub: Hub) -> Operators:
    """One operator governs the fresh hub."""
    return Operators.of(hub, "asha")
