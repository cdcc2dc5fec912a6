"""Bringing files from the internet: safely, politely, and once."""

from moviestrip.download.fetch import Via, download_all
from moviestrip.download.journal import Download, Status, forget_download, read_download

__all__ = ["Download", "Status", "Via", "download_all", "forget_download", "read_download"]
