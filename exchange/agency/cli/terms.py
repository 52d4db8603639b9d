"""The many options of a consent's terms, gathered into one value for `consent grant`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, TypeVar

import click

from exchange.agency.cli.values import end_of
from exchange.agency.terms import Terms
from exchange_schemas.catalogue import load_catalogue

F = TypeVar("F", bound=Callable[..., Any])
_CATALOGUE = load_catalogue()
_DAYS = click.IntRange(1, 6570)
_OPTIONS = (
    click.option(
        "--purpose", "purposes", multiple=True, required=True, type=click.Choice(_CATALOGUE.purposes)
    ),
    click.option("--field", "fields", multiple=True, metavar="NAME", help="A field that may be given."),
    click.option(
        "--kind",
        type=click.Choice(tuple(_CATALOGUE.kinds)),
        help="All fields of the record that this kind takes.",
    ),
    click.option(
        "--basis",
        "bases",
        multiple=True,
        required=True,
        metavar="BASIS | ABOUT=BASIS",
        help=f"One of {', '.join(_CATALOGUE.bases)}; for child, relative, caregiver apart if needed.",
    ),
    click.option(
        "--evidence", required=True, help="Where the evidence lies; stays here, a salted digest leaves."
    ),
    click.option(
        "--screening",
        type=click.Choice(("cleared", "not_required")),
        default="not_required",
        show_default=True,
        help="Protection screening; embassies and public authorities need `cleared`.",
    ),
    click.option("--screening-evidence", help="Where the screening's evidence lies."),
    click.option("--days", type=_DAYS, default=90, show_default=True, help="How long it lasts."),
    click.option("--until", metavar="DATE", help="Last day, YYYY-MM-DD; instead of --days."),
    click.option(
        "--retention-days", type=_DAYS, default=365, show_default=True, help="How long it may be kept."
    ),
    click.option("--thread", help="Only in this thread."),
    click.option("--after", nargs=2, metavar="EID EID", help="Both sides' match confirmations."),
    click.option("--supersedes", metavar="CID", help="Replaces this consent in its family."),
)
_SAME_NAME = (
    "purposes",
    "fields",
    "kind",
    "evidence",
    "screening",
    "screening_evidence",
    "retention_days",
    "thread",
    "supersedes",
)


def terms_options(command: F) -> F:
    """Give a command the options of a consent's terms; it gets them as one argument, `terms`."""

    @wraps(command)
    def run(*args: Any, **given: Any) -> Any:
        by_about = bases_of(given.pop("bases"))
        terms = Terms(
            basis=by_about.pop("", None),
            bases=by_about,
            lasts=timedelta(days=given.pop("days")),
            until=end_of(given.pop("until"), "--until"),
            after=given.pop("after") or None,
            **{name: given.pop(name) for name in _SAME_NAME},
        )
        return command(*args, terms=terms, **given)

    for option in reversed(_OPTIONS):
        option(run)
    return run  # type: ignore[return-value]  # wraps keeps the parameters click has collected


def bases_of(given: tuple[str, ...]) -> dict[str, str]:
    """`BASIS` for everybody (under the empty name) and `ABOUT=BASIS` for one subject."""
    found: dict[str, str] = {}
    for one in given:
        about, equals, basis = one.partition("=")
        found["" if not equals else about] = basis if equals else about
    return found
