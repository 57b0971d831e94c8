"""`python -m animeverse` is the same as the command `animeverse`."""

from animeverse.cli import main

main()
