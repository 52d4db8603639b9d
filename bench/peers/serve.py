"""A peer's side of the bench: reads one JSON line at a time, answers one. Standard library only.

The first line holds the record, field by field. Every other one asks for one thing to be done some times:
`{"op": "seal" | "open", "count": recipients, "times": n}`; the answer is the CPU seconds of one, and the
bytes of what was sealed. Before a first answer what was sealed is opened, and must be the record.
"""

import json
import sys
import time
from collections.abc import Callable

Fields = dict[str, str]
Pair = tuple[Callable[[], object], Callable[[object], Fields]]


def serve(make: Callable[[Fields, int], Pair], size: Callable[[object], int]) -> None:
    """Answer until the input ends. `make` gives, for so many recipients, how to seal, and how one opens."""
    fields: Fields = json.loads(sys.stdin.readline())
    pairs: dict[int, tuple[Pair, object]] = {}
    print("{}", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        count, times = asked["count"], asked["times"]
        if count not in pairs:
            pairs[count] = _checked(make(fields, count), fields)
        (seal, open_), sealed = pairs[count]
        start = time.process_time()
        for _ in range(times):
            if asked["op"] == "seal":
                seal()
            else:
                open_(sealed)
        seconds = (time.process_time() - start) / times
        print(json.dumps({"seconds": seconds, "bytes": size(sealed)}), flush=True)


def _checked(pair: Pair, fields: Fields) -> tuple[Pair, object]:
    seal, open_ = pair
    sealed = seal()
    if open_(sealed) != fields:
        raise SystemExit("what was sealed does not open to the record")
    return pair, sealed
