"""Datasets that come with their features already computed, and without pictures."""
