"""The report of a run: one HTML page that needs nothing else."""

from moviestrip.report.build import build_report

__all__ = ["build_report"]
