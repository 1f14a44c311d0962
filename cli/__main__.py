"""`python -m strop.cli` is the `strop` command."""

from strop.cli.main import main

main()
