"""Settings of a command: the option wins over the environment, the environment over the file."""

import stat
from pathlib import Path

import pytest

from exchange.hub.admin.config import environment, read_file, with_defaults, write_file
from exchange_schemas.errors import ConfigInvalid, Conflict


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "hub.env"
    settings = {"HOMEWARD_ORIGIN": "exchange.example", "HOMEWARD_DATABASE_URL": "a=b://c?d=e&f"}
    write_file(path, settings)
    assert read_file(path) == settings
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "hub.env"
    write_file(path, {"HOMEWARD_ORIGIN": "a.example"})
    with pytest.raises(Conflict):
        write_file(path, {"HOMEWARD_ORIGIN": "b.example"})
    assert read_file(path) == {"HOMEWARD_ORIGIN": "a.example"}


@pytest.mark.parametrize("value", ["two\nlines", " space", "space ", "tab\there", "nul\0"])
def test_a_value_is_one_trimmed_line(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigInvalid, match="HOMEWARD_ORIGIN"):
        write_file(tmp_path / "hub.env", {"HOMEWARD_ORIGIN": value})
    assert not (tmp_path / "hub.env").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("HOMEWARD_ORIGIN\n", "line 1"),
        ("# c\nORIGIN=a\n", "line 2"),
        ("export HOMEWARD_ORIGIN=a\n", "line 1"),
        ("HOMEWARD_origin=a\n", "line 1"),
        ("HOMEWARD_ORIGIN=a\nHOMEWARD_ORIGIN=b\n", "line 2"),
        ("x" * 70_000, "longer"),
    ],
)
def test_a_line_that_is_no_setting_is_named_by_its_number(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "hub.env"
    path.write_text(text)
    with pytest.raises(ConfigInvalid, match=says):
        read_file(path)


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hub.env"
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        read_file(path)
    path.write_bytes(b"HOMEWARD_ORIGIN=\xff\n")
    with pytest.raises(ConfigInvalid, match="UTF-8"):
        read_file(path)


def test_the_environment_wins_over_the_file_and_the_option_over_both(tmp_path: Path) -> None:
    write_file(tmp_path / "hub.env", {"HOMEWARD_ORIGIN": "file.example", "HOMEWARD_BASE_URL": "https://x"})
    env = {"HOMEWARD_ORIGIN": "env.example", "HOMEWARD_DATA_DIR": "/elsewhere", "PATH": "/bin"}
    assert environment(env, data_dir=tmp_path) == {
        "HOMEWARD_ORIGIN": "env.example",
        "HOMEWARD_BASE_URL": "https://x",
        "HOMEWARD_DATA_DIR": str(tmp_path),
    }


def test_the_folder_may_come_from_the_environment(tmp_path: Path) -> None:
    write_file(tmp_path / "hub.env", {"HOMEWARD_ORIGIN": "file.example"})
    found = environment({"HOMEWARD_DATA_DIR": str(tmp_path)})
    assert found == {"HOMEWARD_ORIGIN": "file.example", "HOMEWARD_DATA_DIR": str(tmp_path)}


def test_a_named_file_is_read_instead_of_the_folders(tmp_path: Path) -> None:
    write_file(tmp_path / "hub.env", {"HOMEWARD_ORIGIN": "folder.example"})
    write_file(tmp_path / "other", {"HOMEWARD_ORIGIN": "named.example"})
    found = environment({}, data_dir=tmp_path, config=tmp_path / "other")
    assert found["HOMEWARD_ORIGIN"] == "named.example"


def test_what_the_agency_program_reads_is_not_the_hubs(tmp_path: Path) -> None:
    assert environment({"HOMEWARD_HOME": "ngo", "HOMEWARD_USER": "amal"}) == {}


def test_the_folder_gives_the_defaults() -> None:
    assert with_defaults({}) == {}
    assert with_defaults({"HOMEWARD_DATA_DIR": "/srv/hub/"}) == {
        "HOMEWARD_DATA_DIR": "/srv/hub/",
        "HOMEWARD_DATABASE_URL": "sqlite:////srv/hub/hub.sqlite",
        "HOMEWARD_GUARD_DIR": "/srv/hub-guard",
    }
    given = {"HOMEWARD_DATA_DIR": "/a", "HOMEWARD_DATABASE_URL": "x", "HOMEWARD_GUARD_DIR": "/b"}
    assert with_defaults(given) == given
