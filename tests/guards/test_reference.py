"""The reference is drawn by the very file that the pinned npm package holds, with its authors' licences."""

import json
from importlib import resources

from tests.node.tools import HERE

FOLDER = HERE / "reference"
SHIPPED = resources.files("exchange.hub").joinpath("reference")


def test_the_shipped_script_is_the_packages_own() -> None:
    package = FOLDER / "node_modules" / "redoc"
    assert json.loads((package / "package.json").read_text("utf-8"))["license"] == "MIT"
    bundle = package / "bundles" / "redoc.standalone.js"
    assert SHIPPED.joinpath("redoc.standalone.js").read_bytes() == bundle.read_bytes()


def test_the_shipped_licences_are_the_packages_own() -> None:
    package = FOLDER / "node_modules" / "redoc"
    shipped = SHIPPED.joinpath("LICENSE.txt").read_text("utf-8")
    assert (package / "LICENSE").read_text("utf-8") in shipped
    assert (package / "bundles" / "redoc.standalone.js.LICENSE.txt").read_text("utf-8") in shipped


def test_the_lock_pins_the_version_by_its_hash() -> None:
    wanted = json.loads((FOLDER / "package.json").read_text("utf-8"))["dependencies"]["redoc"]
    locked = json.loads((FOLDER / "package-lock.json").read_text("utf-8"))["packages"]["node_modules/redoc"]
    assert locked["version"] == wanted
    assert locked["integrity"].startswith("sha512-")


def test_no_lock_of_npm_names_an_address() -> None:
    for lock in HERE.glob("*/package-lock.json"):
        packages = json.loads(lock.read_text("utf-8"))["packages"]
        assert not [name for name, entry in packages.items() if "resolved" in entry], lock
        assert all("integrity" in entry for name, entry in packages.items() if name), lock
