"""`python -m rota.cli` is `rota`."""

from rota.cli.main import main

main()
