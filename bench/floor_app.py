"""The floor of every request figure: bare Flask that inserts one row and commits, on the same database."""

import os

from flask import Flask, request
from sqlalchemy import create_engine, event, text


def create_app() -> Flask:
    """A Flask app with `POST /insert`; the database's address comes from FLOOR_DATABASE_URL."""
    app = Flask(__name__)
    engine = create_engine(os.environ["FLOOR_DATABASE_URL"], pool_size=8, connect_args=_arguments())
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def durable(connection: object, _record: object) -> None:
            for pragma in ("journal_mode=WAL", "synchronous=FULL"):
                connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]

    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS floor (body VARCHAR(2000))"))

    @app.post("/insert")
    def insert() -> dict[str, bool]:
        body = request.get_json()
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO floor VALUES (:body)"), {"body": body["body"]})
        return {"ok": True}

    return app


def _arguments() -> dict[str, object]:
    return {"timeout": 20} if os.environ["FLOOR_DATABASE_URL"].startswith("sqlite") else {}


app = create_app() if "FLOOR_DATABASE_URL" in os.environ else None
