"""The bench's figures: one row each, printed as a table and written as JSON on request.

A row never judges more than its own aim; nothing here asserts a time.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `id` is permanent; `aim` None means that the figure is only told."""

    id: str
    value: float
    unit: str
    aim: float | None = None
    higher_is_better: bool = True
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the aim is reached; None without an aim."""
        if self.aim is None:
            return None
        return self.value >= self.aim if self.higher_is_better else self.value <= self.aim


def print_rows(rows: list[Row]) -> None:
    """The table for a person."""
    table = Table(title="Homeward bench: ratios to a floor measured in the same run")
    for heading in ("figure", "value", "unit", "aim", "met", "note"):
        table.add_column(heading, justify="right" if heading in ("value", "aim") else "left")
    for row in rows:
        sign = "≥" if row.higher_is_better else "≤"
        aim = "" if row.aim is None else f"{sign} {row.aim:g}"
        met = {None: "", True: "yes", False: "NO"}[row.met]
        table.add_row(row.id, f"{row.value:,.4g}", row.unit, aim, met, row.note)
    Console(width=150).print(table)


def write_json(rows: list[Row], path: Path) -> None:
    """The same figures as a JSON list of {id, value, unit, aim, higher_is_better, met}; others add to it."""
    known = json.loads(path.read_text("utf-8")) if path.exists() else []
    fresh = {
        row.id: {key: value for key, value in asdict(row).items() if key != "note"} | {"met": row.met}
        for row in rows
    }
    kept = [item for item in known if item["id"] not in fresh]
    path.write_text(json.dumps(kept + list(fresh.values()), indent=1) + "\n", "utf-8")
