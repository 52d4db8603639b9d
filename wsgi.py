"""The WSGI application: settings from the environment, nothing else."""

import os

from exchange.hub.app import create_app
from exchange.hub.settings import Settings

app = create_app(Settings.from_environment(os.environ))
