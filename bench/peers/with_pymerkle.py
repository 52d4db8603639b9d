"""pymerkle's SqliteTree: inclusion proofs in a tree of so many leaves, without its cache and with it.

`python with_pymerkle.py FILE COUNT`: fills FILE in bulk, prints {"cold": …, "warm": …}, CPU seconds of a
proof. Cold: by a tree that was just opened, as after a start. Warm: after as many proofs as are measured.
"""

import json
import random
import sqlite3
import statistics
import sys
import time
from hashlib import sha256

from pymerkle import SqliteTree, verify_inclusion

COLD = 5
WARM = 100


def fill(file: str, count: int) -> None:
    """The leaves as the tree itself writes them, in one transaction."""
    SqliteTree(file).close()
    entries = (b"%032d" % number * 10 for number in range(count))
    rows = ((entry, sha256(b"\0" + entry).digest()) for entry in entries)
    with sqlite3.connect(file) as db:
        db.executemany("INSERT INTO leaf (entry, hash) VALUES (?, ?)", rows)


def seconds(tree: SqliteTree, index: int) -> float:
    """CPU seconds of one proof, which must hold."""
    start = time.process_time()
    proof = tree.prove_inclusion(index)
    found = time.process_time() - start
    verify_inclusion(tree.get_leaf(index), tree.get_root(), proof)
    return found


def main(file: str, count: int) -> None:
    fill(file, count)
    chosen = random.Random(1)
    cold = []
    for _ in range(COLD):
        tree = SqliteTree(file)
        cold.append(seconds(tree, chosen.randrange(count) + 1))
        tree.close()
    tree = SqliteTree(file)
    warm = [seconds(tree, chosen.randrange(count) + 1) for _ in range(2 * WARM)][WARM:]
    print(json.dumps({"cold": statistics.median(cold), "warm": statistics.median(warm)}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
