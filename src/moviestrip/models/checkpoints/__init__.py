"""Checkpoints as others write them, read as names and arrays without running anything that is in them."""
