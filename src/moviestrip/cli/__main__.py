"""`python -m moviestrip.cli` is `moviestrip`."""

from moviestrip.cli import main

main()
