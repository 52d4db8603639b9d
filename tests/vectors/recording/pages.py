"""Following the directory page by page: what a member takes, and what it refuses of a hub that lies.

A page's events are named by their place in `story` of directory.json: {index, story} stands for
{index, event, keys}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exchange.directory.replay import leaf_data
from exchange.directory.snapshot import DirectoryLog, Page
from exchange.log.checkpoint import Checkpoint, sign_checkpoint, vkey
from exchange.log.tree import consistency_proof, leaf_hash, root_of
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u
from exchange_schemas.ids import Digest
from tests.vectors.recording.seeds import ORIGIN, Case, code_of, signing
from tests.vectors.recording.world import World, event_json

LOG = f"{ORIGIN}/directory"
KEY, OTHER = signing("directory log"), signing("other log")


class Hub:
    """The pages of a hub, honest unless it is told otherwise."""

    def __init__(self, world: World) -> None:
        self.leaves = [leaf_hash(leaf_data(signed)) for signed, _ in world.log]

    def node(self, level: int, index: int) -> bytes:
        return root_of(self.leaves[index << level : (index + 1) << level])

    def note(self, size: int, *, root: bytes | None = None, key: SigningKey = KEY, name: str = LOG) -> str:
        found = root_of(self.leaves[:size]) if root is None else root
        return sign_checkpoint(Checkpoint(name, size, found), key)

    def page(self, after: int, upto: int, size: int, **changes: Any) -> Case:
        """The events from `after` to `upto`, with the checkpoint of `size`."""
        proof = [] if after == 0 or after >= size else consistency_proof(after, size, self.node)
        return {
            "events": [{"index": at, "story": at} for at in range(after, upto)],
            "size": size,
            "checkpoint": self.note(size),
            "consistency": [b64u(node) for node in proof],
            **changes,
        }


def expanded(page: Case, story: Sequence[Case]) -> Case:
    """A page as the hub sends it."""
    events = [{"index": one["index"], **story[one["story"]]} for one in page["events"]]
    return {**page, "events": events}


def followed(file: Case, case: Case, story: Sequence[Case]) -> DirectoryLog:
    """The copy after the pages of a case, as a member decides with it. Raises: what refuses a page."""
    log = DirectoryLog.join(file["origin"], pin=Digest(file["pin"]), vkeys=[file["vkey"]])
    for page in case["pages"]:
        log = log.apply(Page.from_json(expanded(page, story))).log
    log.current()
    return log


def _cases(hub: Hub) -> dict[str, list[Case]]:
    end = len(hub.leaves)
    half, most = end // 2, end - 1
    first, rest = hub.page(0, half, half), hub.page(half, end, end)
    whole = hub.page(0, end, end)
    lies = hub.note(end, root=bytes(32))
    return {
        "all at once": [whole],
        "in two pages": [first, rest],
        "a long log in pages under one checkpoint": [
            hub.page(0, half, end),
            hub.page(half, end, end),
        ],
        "a log that grows meanwhile": [hub.page(0, half, most), hub.page(half, end, end)],
        "nothing new": [whole, hub.page(end, end, end)],
        "a checkpoint that a witness has cosigned": [{**whole, "witnessed": hub.note(half)}],
        "signed by another key": [{**whole, "checkpoint": hub.note(end, key=OTHER)}],
        "of another log": [{**whole, "checkpoint": hub.note(end, name=f"{ORIGIN}/audit")}],
        "another size than its checkpoint": [{**whole, "size": most}],
        "shorter than before": [whole, hub.page(end, end, most, consistency=[])],
        "another root of the same size": [whole, {**hub.page(end, end, end), "checkpoint": lies}],
        "no proof": [first, {**rest, "consistency": []}],
        "a proof of other nodes": [
            first,
            {**rest, "consistency": [b64u(bytes(32))] * len(rest["consistency"])},
        ],
        "a proof that is longer": [first, {**rest, "consistency": [*rest["consistency"], b64u(bytes(32))]}],
        "a proof from nothing": [{**whole, "consistency": [b64u(bytes(32))]}],
        "an event left out": [{**whole, "events": [*whole["events"][:half], *whole["events"][half + 1 :]]}],
        "an event twice": [{**whole, "events": [*whole["events"][:half], *whole["events"][half - 1 :]]}],
        "from the middle on": [hub.page(half, end, end, consistency=[])],
        "more events than the checkpoint has": [hub.page(0, end, most)],
        "events that end before the checkpoint": [hub.page(0, most, end)],
        "events that are not the checkpoint's": [{**whole, "checkpoint": lies}],
        "another event in its place": [
            {**whole, "events": [*whole["events"][:-1], {"index": most, "story": most - 1}]}
        ],
        "a member more": [{**whole, "note": "x"}],
        "a size that is no number": [{**whole, "size": str(end)}],
    }


def page_file(world: World, pin: str) -> Case:
    """`cases`: pages in their order; `size` and `root` are the copy's at the end."""
    hub, story = Hub(world), [event_json(event) for event in world.log]
    file: Case = {"origin": ORIGIN, "pin": pin, "vkey": vkey(LOG, KEY.public.raw)}
    cases = []
    for name, pages in _cases(hub).items():
        case: Case = {"name": name, "pages": pages}
        case["error"] = code_of(lambda case=case: followed(file, case, story))
        log = None if case["error"] else followed(file, case, story)
        case["size"] = None if log is None else log.state.size
        case["root"] = None if log is None else b64u(log.state.frontier.root())
        cases.append(case)
    return {**file, "cases": cases}
