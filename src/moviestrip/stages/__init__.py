"""One function a stage: read its tables, call the library, write what came out with its provenance.

Nothing here computes; the floors below do. Paths come from the run's layout and settings from the keys the
workflow handed over, so that a stage cannot read what its rule does not declare.
"""

from moviestrip.stages.agreement import compare_runs
from moviestrip.stages.clips import annotate, appearance, curate, explain, key_frames, label
from moviestrip.stages.difficulty import difficulty
from moviestrip.stages.evaluation import claims, evaluate, ledger, table
from moviestrip.stages.extraction import features
from moviestrip.stages.figures import figure
from moviestrip.stages.forecasting import evaluate_forecasts, forecast
from moviestrip.stages.importing import import_features
from moviestrip.stages.job import Job, selected_clips
from moviestrip.stages.pictures import card, check, contact_sheet, funnels, overlays, people_sheet, report
from moviestrip.stages.prediction import predict
from moviestrip.stages.real_check import real_check
from moviestrip.stages.smoothing import smoothing, smoothing_comparison
from moviestrip.stages.training import motion_prior, train
from moviestrip.stages.videos import detect, fetch, shots, track
from moviestrip.stages.world import body, motions, render

__all__ = [
    "Job",
    "annotate",
    "appearance",
    "body",
    "card",
    "check",
    "claims",
    "compare_runs",
    "contact_sheet",
    "curate",
    "detect",
    "difficulty",
    "evaluate",
    "evaluate_forecasts",
    "explain",
    "features",
    "fetch",
    "figure",
    "forecast",
    "funnels",
    "import_features",
    "key_frames",
    "label",
    "ledger",
    "motion_prior",
    "motions",
    "overlays",
    "people_sheet",
    "predict",
    "real_check",
    "render",
    "report",
    "selected_clips",
    "shots",
    "smoothing",
    "smoothing_comparison",
    "table",
    "track",
    "train",
]
