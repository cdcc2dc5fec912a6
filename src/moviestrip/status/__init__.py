"""How far a run is: jobs done, running, failed and waiting, from the files alone."""

from moviestrip.status.count import Row, Status, status_of

__all__ = ["Row", "Status", "status_of"]
