"""An invented PFIF 1.4 file of any length, written record by record, for the import bench.

Every name and place is made up from syllables; the same length always gives the same children.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

_SYLLABLES: Final = ("la", "mi", "ro", "sa", "ne", "ka", "du", "vi", "to", "be")
_COUNTRIES: Final = ("FR", "IQ", "SY", "JO", "KZ", "DE")
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>\n<pfif:pfif xmlns:pfif="http://zesty.ca/pfif/1.4">\n'
_TAIL: Final = "</pfif:pfif>\n"


def write_pfif(path: Path, count: int) -> None:
    """Write `count` persons, all of them children today, each with one note."""
    with path.open("w", encoding="utf-8") as file:
        file.write(_HEAD)
        file.writelines(_persons(count))
        file.write(_TAIL)


def _persons(count: int) -> Iterator[str]:
    chance = random.Random(1)
    now = datetime.now(UTC).replace(hour=8, minute=0, second=0, microsecond=0)
    for number in range(count):
        yield _person(number, chance, now - timedelta(days=30 + number % 60))


def _person(number: int, chance: random.Random, when: datetime) -> str:
    given, family, place = _word(chance), _word(chance), _word(chance)
    born = when.year - chance.randint(2, 12)
    values = {
        "person_record_id": f"bench.example/person.{number}",
        "entry_date": _time(when),
        "author_name": "Reception desk",
        "source_name": "Bench office",
        "source_date": _time(when),
        "full_name": f"{given} {family}",
        "given_name": given,
        "family_name": family,
        "alternate_names": _word(chance),
        "description": f"Small scar above the left eyebrow. Hat number {number}.",
        "sex": chance.choice(("female", "male")),
        "date_of_birth": f"{born}-{chance.randint(1, 12):02}",
        "age": f"{when.year - born - 1}-{when.year - born}",
        "home_state": place,
        "home_country": chance.choice(_COUNTRIES),
        "photo_url": f"https://bench.example/photo/{number}.jpg",
    }
    note = {
        "note_record_id": f"bench.example/note.{number}",
        "person_record_id": f"bench.example/person.{number}",
        "entry_date": _time(when),
        "author_name": "Reception desk",
        "source_date": _time(when),
        "status": "believed_alive",
        "last_known_location": f"{place} reception centre",
        "text": "Arrived with a neighbour who has since left.",
    }
    return f"<pfif:person>\n{_elements(values)}<pfif:note>\n{_elements(note)}</pfif:note>\n</pfif:person>\n"


def _elements(values: dict[str, str]) -> str:
    return "".join(f"<pfif:{name}>{value}</pfif:{name}>\n" for name, value in values.items())


def _word(chance: random.Random) -> str:
    return "".join(chance.choices(_SYLLABLES, k=3)).title()


def _time(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
