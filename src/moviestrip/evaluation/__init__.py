"""Scores predictions under a named protocol and says how sure the numbers are."""
