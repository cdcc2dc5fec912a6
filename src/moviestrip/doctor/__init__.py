"""What this machine, or a cluster, has of what a run needs."""

from moviestrip.doctor.cluster import cluster_findings
from moviestrip.doctor.finding import Finding
from moviestrip.doctor.machine import findings

__all__ = ["Finding", "cluster_findings", "findings"]
