"""Statements on the driver's own cursor give what SQLAlchemy gives, inside its transaction."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Boolean, Column, Engine, MetaData, Table, Text, bindparam, select, text, update
from sqlalchemy.dialects.postgresql import insert

from exchange.hub.db import open_engine, reading, writing
from exchange.hub.models.base import Bytes, Int64
from exchange.hub.sql import Statement, together

metadata = MetaData()
thing = Table(
    "thing",
    metadata,
    Column("name", Text, primary_key=True),
    Column("size", Int64),
    Column("data", Bytes),
    Column("good", Boolean),
)
KEEP = Statement(insert(thing).on_conflict_do_nothing(), fills=("name", "size", "data", "good"))
FIND = Statement(select(thing).where(thing.c.name == bindparam("wanted")))
SOME = Statement(
    select(thing.c.name)
    .where(thing.c.name.in_(bindparam("names", expanding=True)), thing.c.good.is_not(None))
    .order_by(thing.c.name)
)
EMPTY = Statement(update(thing).where(thing.c.name == bindparam("wanted")).values(data=None, size=7))
ROW = {"name": "a", "size": 3, "data": b"\x00\xff", "good": True}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    path = tmp_path / "things.sqlite"
    path.touch()
    engine = open_engine(f"sqlite:///{path}")
    with writing(engine) as conn:
        metadata.create_all(conn)
    yield engine
    engine.dispose()


def test_a_row_is_read_as_its_types_say(engine: Engine) -> None:
    with writing(engine) as conn:
        assert KEEP.run(conn, ROW) == 1
        row = FIND.one(conn, {"wanted": "a"})
    assert row is not None
    assert row._asdict() == ROW
    assert row.good is True


def test_nothing_found_is_none_or_nothing_at_all(engine: Engine) -> None:
    with reading(engine) as conn:
        assert FIND.one(conn, {"wanted": "a"}) is None
        assert FIND.rows(conn, {"wanted": "a"}) == []
        with pytest.raises(RuntimeError):
            FIND.only(conn, {"wanted": "a"})


def test_what_was_there_already_is_not_counted(engine: Engine) -> None:
    with writing(engine) as conn:
        assert KEEP.run(conn, ROW) == 1
        assert KEEP.run(conn, ROW) == 0
        (kept,) = together(conn, KEEP.for_each([ROW, {**ROW, "name": "b"}, {**ROW, "name": "c"}]))
        assert kept.count == 2


def test_a_value_in_the_statement_itself_may_be_null(engine: Engine) -> None:
    with writing(engine) as conn:
        KEEP.run(conn, ROW)
        assert EMPTY.run(conn, {"wanted": "a"}) == 1
        assert FIND.only(conn, {"wanted": "a"}).data is None
        assert FIND.only(conn, {"wanted": "a"}).size == 7


def test_it_is_undone_with_its_transaction(engine: Engine) -> None:
    with writing(engine) as conn:
        Statement(text("SAVEPOINT here")).run(conn, {})
        KEEP.run(conn, ROW)
        Statement(text("ROLLBACK TO SAVEPOINT here")).run(conn, {})
    with engine.connect() as conn:
        # Without a commit nothing stays.
        KEEP.run(conn, ROW)
    with reading(engine) as conn:
        assert FIND.one(conn, {"wanted": "a"}) is None


def test_several_run_in_their_order(engine: Engine) -> None:
    with writing(engine) as conn:
        asked = FIND.call(wanted="a"), KEEP.call(**ROW), FIND.call(wanted="a"), KEEP.call(**ROW)
        before, kept, after, again = together(conn, *asked)
    assert before.rows == []
    assert kept.count == 1
    assert [row.name for row in after.rows] == ["a"]
    assert again.count == 0


def test_a_missing_value_is_an_error(engine: Engine) -> None:
    with reading(engine) as conn, pytest.raises(Exception, match="wanted"):
        FIND.one(conn, {})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(names=st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=20))
def test_a_list_of_any_length_finds_each_once(engine: Engine, names: list[str]) -> None:
    with writing(engine) as conn:
        together(conn, KEEP.for_each([{**ROW, "name": name} for name in "acegi"]))
        found = [row.name for row in SOME.rows(conn, {"names": names})]
    assert found == sorted(set(names) & set("acegi"))
