"""`python -m cli`: the same as `metriport-streams`."""

from cli.main import main

main()
