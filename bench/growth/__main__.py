"""`python -m bench.growth [GROUP …]`: as `python -m bench`, for the groups that fill a hub first."""

import sys
from typing import Final

from bench.__main__ import main

GROUPS: Final = {
    "log": "bench.growth.log",
    "slices": "bench.growth.slicing",
    "appending": "bench.growth.appending",
    "pulling": "bench.growth.pulling",
    "messages": "bench.growth.messages",
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], GROUPS))
