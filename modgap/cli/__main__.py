"""`python -m modgap.cli` is `modgap`."""

from modgap.cli.main import main

main()
