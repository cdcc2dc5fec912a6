"""Datasets behind one contract: which videos, which clips of people in them, which labels on every frame."""
