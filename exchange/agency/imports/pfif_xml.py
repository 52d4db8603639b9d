"""PFIF 1.1-1.4 as XML: a stream of persons and stray notes, with hostile input refused.

It maps nothing. No entity is expanded, no document type is read, nothing is fetched. Format:
PFIF 1.4 specification, http://zesty.ca/pfif/1.4.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from exchange_schemas.errors import ImportUnreadable

NAMESPACES = {f"http://zesty.ca/pfif/{version}": version for version in ("1.1", "1.2", "1.3", "1.4")}
MAX_DEPTH = 6
MAX_RECORD_BYTES = 1024 * 1024
MAX_ELEMENTS = 5000


@dataclass(slots=True)
class RawPerson:
    """One person as written: texts by element name (PFIF 1.4 names), and its notes."""

    version: str
    texts: dict[str, str] = field(default_factory=dict)
    repeated: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    notes: list[dict[str, str]] = field(default_factory=list)


class _Bounded:
    """A file that refuses to feed more than MAX_RECORD_BYTES between two finished records."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._since = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(size, 64 * 1024) if size > 0 else 64 * 1024)
        self._since += len(data)
        if self._since > MAX_RECORD_BYTES + 64 * 1024:
            raise ImportUnreadable(
                f"one record is larger than {MAX_RECORD_BYTES} bytes", field="file", rule="import-size"
            )
        return data

    def finished_record(self) -> None:
        self._since = 0


def read_persons(path: Path) -> Iterator[RawPerson | None]:
    """Yield each person; None stands for a note outside any person.

    Raises: ImportUnreadable for anything that is not well-formed, bounded PFIF.
    """
    try:
        with path.open("rb") as file:
            yield from _persons(_Bounded(file))
    except DefusedXmlException as error:
        raise ImportUnreadable(
            "the XML declares a document type or entities, which are never expanded",
            field="file",
            rule="import-entities",
        ) from error
    except ParseError as error:
        line, column = error.position
        raise ImportUnreadable(
            f"the XML is broken at line {line}, column {column}", field="file", rule="import-xml"
        ) from error
    except (UnicodeError, LookupError) as error:
        raise ImportUnreadable("the XML names an encoding that cannot be read", field="file") from error
    except OSError as error:
        raise ImportUnreadable(f"the file cannot be read: {error.strerror}", field="file") from error


def _persons(source: _Bounded) -> Iterator[RawPerson | None]:
    depth = elements = 0
    version, root = "", None
    for event, element in iterparse(source, events=("start", "end"), forbid_dtd=True):
        if event == "start":
            depth += 1
            elements += 1
            if depth > MAX_DEPTH:
                raise ImportUnreadable(f"the XML is nested deeper than {MAX_DEPTH}", rule="import-depth")
            if elements > MAX_ELEMENTS:
                raise ImportUnreadable(
                    f"one record has more than {MAX_ELEMENTS} elements", rule="import-size"
                )
            if root is None:
                root, version = element, _version_of(element)
            continue
        depth -= 1
        if depth != 1:
            continue
        name = _name(element, version)
        if name == "person":
            yield _person(element, version)
        elif name == "note":
            yield None
        if root is not None:
            root.clear()
        elements = 0
        source.finished_record()


def _version_of(root: Element) -> str:
    space, _, name = root.tag.rpartition("}")
    version = NAMESPACES.get(space.removeprefix("{"))
    if version is None or name != "pfif":
        raise ImportUnreadable("the XML is not PFIF 1.1, 1.2, 1.3 or 1.4", field="file", rule="import-format")
    return version


def _name(element: Element, version: str) -> str:
    """The element's PFIF name, or "" when it belongs to another namespace."""
    space, _, name = element.tag.rpartition("}")
    return name if NAMESPACES.get(space.removeprefix("{")) == version else ""


# PFIF 1.1-1.3 names that 1.4 renamed.
_RENAMED = {
    "first_name": "given_name",
    "last_name": "family_name",
    "other": "description",
    "name": "full_name",
}


def _person(element: Element, version: str) -> RawPerson:
    person = RawPerson(version=version)
    for child in element:
        name = _name(child, version)
        if name == "note":
            person.notes.append({_name(item, version): (item.text or "").strip() for item in child})
            continue
        text = (child.text or "").strip()
        if name == "" or len(child) > 0:
            person.unknown.add("an element of another namespace" if name == "" else name)
            continue
        name = _RENAMED.get(name, name)
        if text == "":
            continue
        if name in person.texts:
            person.repeated.add(name)
        else:
            person.texts[name] = text
    return person
