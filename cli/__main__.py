"""`python -m cli`: the same as `metriport-streams`."""

from cli.entry import main

main()
