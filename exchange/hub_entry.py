"""Entry point of `exchange-hub`: says clearly what is missing when the hub extra is not installed.

It must import nothing of the hub before it knows that the hub's libraries are there.
"""

import importlib.util
import sys

_NEEDED = ("flask", "flask_smorest", "authlib", "sqlalchemy", "alembic", "granian")


def main() -> None:
    """Run the operator's command line, or name the missing extra and exit 2."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"error: exchange-hub needs the hub extra (missing: {', '.join(missing)})\n"
            'hint: pip install "homeward-exchange[hub]"\n'
        )
        sys.exit(2)
    from exchange.hub.admin.cli import main as run
    from exchange.sandbox.command import sandbox

    # Here and not in the hub, which knows nothing of the agency program that a sandbox needs.
    run.add_command(sandbox)
    run()
