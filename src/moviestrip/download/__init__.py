"""Bringing files from the internet: safely, politely, and once."""
