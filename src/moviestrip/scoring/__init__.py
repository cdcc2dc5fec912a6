"""Scores predictions that someone else made: reads their files, finds whom they are of, measures them."""
