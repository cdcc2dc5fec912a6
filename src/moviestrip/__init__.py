"""moviestrip: a reproducible data and evaluation pipeline for 3D human motion from video."""

__version__ = "0.1.0"
