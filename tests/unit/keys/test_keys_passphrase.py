"""Passphrases: from a prompt, a private file or a file descriptor."""

import getpass
import inspect
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange_keys import passphrase
from exchange_keys.passphrase import MAX_BYTES, check_strength, read_passphrase
from exchange_schemas.errors import ConfigInvalid

LONG = "correct horse battery"


def private(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a person types at the prompts, in order."""
    answers: list[str] = []

    def ask(_prompt: str) -> str:
        if not answers:
            raise EOFError
        return answers.pop(0)

    monkeypatch.setattr(getpass, "getpass", ask)
    return answers


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read_end, write_end = os.pipe()
    yield read_end, write_end
    os.close(read_end)


def test_a_passphrase_is_the_first_line_of_a_private_file(tmp_path: Path) -> None:
    for content in (b"secret words\nmore\n", b"secret words\r\n", b"secret words"):
        file = private(tmp_path / "p", content)
        assert read_passphrase("", file=file, fd=None) == b"secret words"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = private(tmp_path / "p", b"secret words")
    file.chmod(mode)
    with pytest.raises(ConfigInvalid, match="others") as caught:
        read_passphrase("", file=file, fd=None)
    assert "chmod" in str(caught.value.hint)


def test_a_file_that_is_missing_or_a_folder_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", private(tmp_path / "p", b"").parent):
        path.exists() and path.chmod(0o700)
        with pytest.raises(ConfigInvalid):
            read_passphrase("", file=path, fd=None)


def test_a_pipe_given_as_a_file_is_read(tmp_path: Path, pipe: tuple[int, int]) -> None:
    read_end, write_end = pipe
    os.write(write_end, b"secret words\n")
    os.close(write_end)
    assert read_passphrase("", file=Path(f"/dev/fd/{read_end}"), fd=None) == b"secret words"


def test_a_descriptor_gives_one_line_and_leaves_the_next(pipe: tuple[int, int]) -> None:
    read_end, write_end = pipe
    os.write(write_end, b"first words\nsecond words\n")
    os.close(write_end)
    assert read_passphrase("", file=None, fd=read_end) == b"first words"
    assert read_passphrase("", file=None, fd=read_end) == b"second words"
    with pytest.raises(ConfigInvalid):
        read_passphrase("", file=None, fd=read_end)


def test_a_closed_descriptor_is_refused(pipe: tuple[int, int]) -> None:
    os.close(pipe[1])
    spare = os.dup(pipe[0])
    os.close(spare)
    with pytest.raises(ConfigInvalid, match="source"):
        read_passphrase("", file=None, fd=spare)


def test_a_file_and_a_descriptor_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="not both"):
        read_passphrase("", file=tmp_path, fd=0)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\nsecond", b"\xff\xfe words", b"tab\there", b"x" * (MAX_BYTES + 1), b"nul\0"]
)
def test_what_is_no_passphrase_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ConfigInvalid):
        read_passphrase("", file=private(tmp_path / "p", content), fd=None)


def test_the_longest_passphrase_is_taken(tmp_path: Path) -> None:
    file = private(tmp_path / "p", b"x" * MAX_BYTES)
    assert len(read_passphrase("", file=file, fd=None)) == MAX_BYTES


def test_the_same_text_in_two_unicode_forms_is_one_passphrase(tmp_path: Path) -> None:
    composed, decomposed = "\u00e9 passphrase".encode(), "e\u0301 passphrase".encode()
    assert composed != decomposed
    assert read_passphrase("", file=private(tmp_path / "a", decomposed), fd=None) == composed


def test_a_passphrase_is_asked_for_once_and_a_new_one_twice(typed: list[str]) -> None:
    typed[:] = ["short"]
    assert read_passphrase("Passphrase: ", file=None, fd=None) == b"short"
    typed[:] = [LONG, LONG]
    assert read_passphrase("New: ", file=None, fd=None, confirm=True) == LONG.encode()
    typed[:] = [LONG, "another one, longer"]
    with pytest.raises(ConfigInvalid, match="not the same"):
        read_passphrase("New: ", file=None, fd=None, confirm=True)


def test_a_new_passphrase_needs_twelve_characters_from_every_source(tmp_path: Path, typed: list[str]) -> None:
    typed[:] = ["elevenchars", "elevenchars"]
    with pytest.raises(ConfigInvalid, match="12 characters"):
        read_passphrase("New: ", file=None, fd=None, confirm=True)
    with pytest.raises(ConfigInvalid, match="12 characters"):
        read_passphrase("", file=private(tmp_path / "p", b"elevenchars"), fd=None, confirm=True)
    check_strength("дванадцять12".encode())
    with pytest.raises(ConfigInvalid):
        check_strength("дванадцять1".encode())


def test_nothing_is_read_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, typed: list[str]
) -> None:
    with pytest.raises(ConfigInvalid, match=r"no terminal to ask at \(Passphrase of the root\)"):
        read_passphrase("Passphrase of the root: ", file=None, fd=None)

    def echoing(_prompt: str) -> str:
        warnings.warn("Can not control echo", getpass.GetPassWarning, stacklevel=2)
        return "would be echoed"

    monkeypatch.setattr(getpass, "getpass", echoing)
    with pytest.raises(ConfigInvalid, match="no terminal"):
        read_passphrase("", file=None, fd=None)


def test_no_passphrase_comes_from_argv_or_the_environment() -> None:
    source = inspect.getsource(passphrase)
    assert "environ" not in source.replace("the environment", "")
    assert "argv" not in source.replace("from argv", "")
