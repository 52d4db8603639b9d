"""A watched file is read anew when it was replaced, at most once a second, and never believed half."""

from pathlib import Path

import pytest

from exchange.hub.tokenfile import EVERY_S, Watched
from exchange_keys.durable import durable_file
from exchange_schemas.errors import Malformed


class Reader:
    """Reads the file's text; refuses what begins with `bad`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.seconds = 0.0

    def __call__(self) -> list[str]:
        self.count += 1
        text = self.path.read_text()
        if text.startswith("bad"):
            raise Malformed("not a key file")
        return [text]

    def watched(self) -> Watched[list[str]]:
        return Watched(self.path, self, lambda: self.seconds)


def put(path: Path, text: str) -> None:
    with durable_file(path, replace=True) as file:
        file.write(text.encode())


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    path = tmp_path / "token.key"
    put(path, "one")
    return Reader(path)


def test_it_follows_the_file_within_a_second_and_no_sooner(reader: Reader) -> None:
    watched = reader.watched()
    put(reader.path, "two")
    assert watched() == ["one"]
    reader.seconds = EVERY_S
    assert watched() == ["two"]


def test_the_same_file_is_the_same_object_and_read_once(reader: Reader) -> None:
    watched = reader.watched()
    first = watched()
    for reader.seconds in (1.0, 2.0, 3.0):
        assert watched() is first
    assert reader.count == 1


def test_a_file_that_cannot_be_read_changes_nothing_until_it_can(
    reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    watched = reader.watched()
    put(reader.path, "bad")
    reader.seconds = 1.0
    assert watched() == ["one"]
    reader.path.unlink()
    reader.seconds = 2.0
    assert watched() == ["one"]
    put(reader.path, "three")
    reader.seconds = 3.0
    assert watched() == ["three"]
    assert "cannot be read" in caplog.text


def test_what_cannot_be_read_at_first_is_an_error(reader: Reader) -> None:
    put(reader.path, "bad")
    with pytest.raises(Malformed):
        reader.watched()
