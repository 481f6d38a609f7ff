"""The fixtures that tests of more than one folder take."""

import os

# A worker of pytest-xdist is told the terminal's width: tables must be as wide as in any other run.
os.environ.pop("COLUMNS", None)

pytest_plugins = ("tests.servers.fixtures",)
