"""`python -m stellwerk`."""

from stellwerk.cli.main import main

main()
