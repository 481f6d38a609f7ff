"""The fixtures that tests of more than one folder take."""

pytest_plugins = ("tests.servers.fixtures",)
