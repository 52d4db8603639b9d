"""No mutation of the directory's pages shows another past, and no mutation of a sealed photo opens."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from exchange.directory.snapshot import DirectoryLog, Page
from exchange.log.checkpoint import vkey
from exchange.log.tree import root_of
from exchange_schemas.codec import b64u
from exchange_schemas.errors import DecryptFailed, ExchangeError, PartDigest
from exchange_schemas.ids import Digest
from tests.integration.envelope.mutations import as_bytes, get, leaves, other_bytes, put
from tests.soak import soaked
from tests.vectors.recording.attachments import attachment_file, opened
from tests.vectors.recording.pages import KEY, LOG, Hub, expanded
from tests.vectors.recording.seeds import ORIGIN, Case, digest
from tests.vectors.recording.world import event_json, pin_of, story


@cache
def true_past() -> tuple[Hub, list[Case], str]:
    """The hub, its pages in order, and the pin."""
    world = story()
    hub, events = Hub(world), [event_json(event) for event in world.log]
    end = len(hub.leaves)
    third = end // 3
    pages = [
        hub.page(0, third, third),
        hub.page(third, 2 * third, end - 1),
        hub.page(2 * third, end, end),
    ]
    return hub, [expanded(page, events) for page in pages], pin_of(world)


def follow(pages: list[Case]) -> DirectoryLog:
    _, _, pin = true_past()
    log = DirectoryLog.join(ORIGIN, pin=Digest(pin), vkeys=[vkey(LOG, KEY.public.raw)])
    for page in pages:
        log = log.apply(Page.from_json(page)).log
    log.current()
    return log


def test_the_pages_lead_to_the_end_as_they_are() -> None:
    hub, pages, _ = true_past()
    assert follow(pages).state.size == len(hub.leaves)


@st.composite
def bent_pages(draw: st.DrawFn) -> list[Case]:
    """Pages of which one says something else, or which come in another order, or not at all."""
    _, pages, _ = true_past()
    bent: Any = copy.deepcopy(pages)
    at = draw(st.integers(0, len(bent) - 1))
    page = bent[at]
    how = draw(st.sampled_from(("text", "bytes", "event", "order", "size", "pages", "proof")))
    if how in ("text", "bytes"):
        path = draw(st.sampled_from(leaves(page)))
        text = get(page, path)
        data = as_bytes(text) if how == "bytes" else None
        if data is None:
            where = draw(st.integers(0, max(0, len(text) - 1)))
            char = draw(st.sampled_from("AZaz09-_+/=\n —"))
            bent[at] = put(page, path, text[:where] + char + text[where + 1 :])
        else:
            bent[at] = put(page, path, b64u(draw(other_bytes(data, [bytes(64)]))))
    elif how == "event":
        events = page["events"]
        one, two = (draw(st.integers(0, len(events) - 1)) for _ in range(2))
        events[one] = draw(
            st.sampled_from(
                (events[two], {**events[one], "event": events[two]["event"]}, {**events[one], "keys": {}})
            )
        )
    elif how == "order":
        page["events"] = draw(st.permutations(page["events"]))
    elif how == "size":
        page["size"] += draw(st.sampled_from((-1, 1, 2**40)))
    elif how == "proof":
        page["consistency"] = draw(st.permutations([*page["consistency"], b64u(bytes(32))]))[:-1]
    else:
        bent = draw(st.permutations(bent))[: draw(st.integers(1, len(bent)))]
    return list(bent)


@soaked(200)
@given(st.data())
def test_no_mutation_of_pages_shows_another_past(data: st.DataObject) -> None:
    """It is refused, or what is believed is a beginning of the true log."""
    hub, _, _ = true_past()
    try:
        log = follow(data.draw(bent_pages()))
    except ExchangeError:
        return
    assert log.state.frontier.root() == root_of(hub.leaves[: log.state.size])


@cache
def photo() -> Case:
    return attachment_file()


@soaked(100)
@given(st.data())
def test_no_mutation_of_a_sealed_photo_opens(data: st.DataObject) -> None:
    file = photo()
    good = as_bytes(file["sealed"][2])
    assert good is not None
    bent = data.draw(other_bytes(good, [as_bytes(file["sealed"][3]) or b""]))
    assume(bent not in (good, b"") and len(bent) > 0)
    changed = {**file, "sealed": [b64u(bent)]}
    case = {"of": 0, "slices": None, "flip": None, "context": {}}
    with pytest.raises(PartDigest):
        opened(changed, {**case, "ref": {"len": len(good), "sha256": digest(good)}})
    with pytest.raises(DecryptFailed):
        opened(changed, {**case, "ref": {"len": len(bent), "sha256": digest(bent)}})
