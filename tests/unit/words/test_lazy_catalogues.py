"""Nobody who reads English, and no program, pays for the catalogues of the other languages."""

import subprocess
import sys

WATCHED = """
import sys
opened = []
def watch(name, args):
    if name == "open" and str(args[0]).endswith(".mo"):
        opened.append(args[0])
sys.addaudithook(watch)
import exchange.hub.app
from exchange.hub.admin.cli import main
from exchange.words import LANGUAGES, gettext, in_language
main(["--help"], standalone_mode=False)
assert gettext("Consent withdrawn") == "Consent withdrawn"
print(len(opened), file=sys.stderr)
with in_language(LANGUAGES["ru"]):
    gettext("Consent withdrawn")
    gettext("Consent unknown")
print(len(opened), file=sys.stderr)
"""


def test_a_catalogue_is_read_once_and_only_when_it_is_asked_for() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WATCHED], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr.split() == ["0", "1"]
