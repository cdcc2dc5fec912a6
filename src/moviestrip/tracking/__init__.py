"""Linking detections of people over time."""
