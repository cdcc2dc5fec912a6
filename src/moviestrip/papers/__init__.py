"""The four papers as data: what they print, how their tables are laid out, what they claim."""
