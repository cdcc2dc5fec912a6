"""The first screen says what the run's files say, in numbers that can be counted by hand."""

import pytest

from moviestrip.config import Config, VariantSettings
from moviestrip.errors import StorageError
from moviestrip.layout import RunFolder
from moviestrip.report import findings, summary
from tests.report.full_size import full_config


def claims_of(**verdicts: str) -> list[dict[str, str]]:
    """One claim a letter: h(olds), f(ails), u(ndecided), p(ending), n(ot applicable)."""
    names = {"h": "holds", "f": "fails", "u": "undecided", "p": "pending", "n": "not applicable"}
    return [{"paper": paper, "verdict": names[letter]} for paper, letters in verdicts.items() for letter in letters]


def smoothing_of(**verdicts: str) -> list[dict[str, str]]:
    names = {"b": "better", "w": "worse", "u": "undecided"}
    return [{"metric": metric, "verdict": names[letter]} for metric, letters in verdicts.items() for letter in letters]


def real_row(variant: str, value: str, **more: str) -> dict[str, str]:
    row = dict.fromkeys(findings.REAL_COLUMNS, "")
    return row | {
        "dataset": "pose2sim", "variant": variant, "title": variant.title(), "view": "all", "metric": "pa_mpjpe",
        "value": value, "clips": "4", "people": "1", "uncertainty_mm": "25",
    } | more  # fmt: skip


def test_claims_that_do_not_hold_are_counted_by_what_is_proven_of_them():
    causes = ["", "opposite here", "smaller effect here", "too few clips", "contradicted by its own table"]
    claims = [row | {"cause": cause} for row, cause in zip(claims_of(hmmr="hffuu"), causes, strict=True)]
    said = "intervals exclude what the paper found in 2, 1 have too few clips to tell, and 1 the paper’s own numbers"
    assert said in summary.answer_of_claims(claims).text


def test_only_judged_claims_count():
    answer = summary.answer_of_claims(claims_of(hmmr="hhfu", tcmr="hpn", vibe="p"))
    assert answer.figure == "3 of 5"
    assert (
        "Of 5 claims that this run can judge, 3 hold with an interval clear of zero, 1 fail and 1 stay" in answer.text
    )
    assert "3 more claims cannot be judged here" in answer.text
    assert [(tally.title, tally.in_words) for tally in answer.tallies] == [
        ("HMMR", "2 hold · 1 fail · 1 undecided"),
        ("TCMR", "1 hold"),
    ]


def test_smoothing_is_told_by_metric():
    answer = summary.answer_of_smoothing(smoothing_of(accel_error="bbbw", pa_mpjpe="wuu"))
    assert answer.figure == "3 of 7"
    assert "better in 3 of 7 comparisons, worse in 2, undecided in 2." in answer.text
    assert "Most beat it on Accel error." in answer.text and "None beats it on PA-MPJPE." in answer.text


def test_difficulties_are_counted_by_their_kind():
    found = {
        "jitter-street": "present",
        "jitter-studio": "absent",
        "burst-blur": "undecided",
        "burst-hidden": "present",
    }
    answer = summary.answer_of_difficulty([{"check": name, "verdict": verdict} for name, verdict in found.items()])
    assert answer.figure == "2 of 4"
    assert answer.text.endswith("2 find what is expected of real video, 1 find that it is absent and 1 are undecided.")
    told = {tally.title: tally.in_words for tally in answer.tallies}
    assert told == {"jitter": "1 present · 1 absent", "burst": "1 present · 1 undecided"}


def test_a_note_of_many_rows_is_said_once():
    rows = [real_row(name, "1", note="one person") for name in "abcd"] + [real_row("e", "1", note="left out")]
    assert findings.common_notes(rows) == ["pose2sim: one person"]


def test_the_real_check_tells_the_range_beside_a_statue_and_the_uncertainty():
    rows = [
        real_row("single-view", "99.4"),
        real_row("contextual", "88.2"),
        real_row("contextual", "1.0", metric="accel_error"),
        real_row("contextual", "12.0", view="front"),
    ]
    answer = summary.answer_of_real_check(rows)
    assert answer.figure == "88–99 mm"
    start = "On 4 clips of 1 person (pose2sim), 2 models have a PA-MPJPE of 88 to 99 mm."
    uncertain = "The reference itself is uncertain by 25 mm, more than the models differ."
    assert answer.text == f"{start} {uncertain}"
    still = real_row("reference", "71", metric="statue_pa_mpjpe")
    told = f"{start} One pose that never moves has 71 mm: no model beats that. {uncertain}"
    assert summary.answer_of_real_check([*rows, still]).text == told
    apart = [real_row("a", "60", uncertainty_mm="20"), real_row("b", "99", uncertainty_mm="20"), still]
    assert summary.answer_of_real_check(apart).text.endswith(
        "71 mm: A beats that. The reference itself is uncertain by 20 mm."
    )


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("accel_error", "Accel error"),
        ("pa_mpjpe_confirmed", "PA-MPJPE confirmed"),
        ("pa_mpjpe_minus_single_view", "PA-MPJPE, less single-view's"),
        ("keypoint_distance", "keypoint distance"),
        ("rank_correlation:street", "rank correlation, street"),
    ],
)
def test_metrics_are_written_as_in_the_papers(name: str, title: str):
    assert findings.metric_title(name) == title


def test_what_was_not_checked_is_not_passed_over(config: Config):
    found = summary.answers(config, None, [], [], [])
    assert [answer.figure for answer in found] == ["–"] * 4
    assert [answer.text for answer in found[1:]] == ["Not checked in this run."] * 3


def test_limits_are_those_of_the_configuration(config: Config):
    words = " ".join(why for _, why in summary.limits(config, []))
    assert "Our networks are 256 channels wide, the papers’ 2048, and learn for at most 2,000 steps" in words
    assert (
        "Nothing that is scored here was filmed." in words and "not the luck of training: each model has one" in words
    )
    more = config.model_copy(update={"training_seeds": (0, 1, 2)})
    assert "over 3 trainings of each model" in " ".join(why for _, why in summary.limits(more, []))


def test_models_stand_in_one_row_with_those_that_learn_from_the_same(repository):
    config, datasets, variants = full_config(repository)
    table = summary.trained_and_tested(config, datasets, variants, checked=True)
    assert table is not None
    assert sum(group["size"] for group in table["groups"]) == len(config.variants)
    by_name = {
        name: group["learns"] for group in table["groups"] for names in group["models"].values() for name in names
    }
    assert by_name["contextual"] == {"studio", "gym", "court"}
    assert by_name["single-view-gaussian"] == by_name["single-view"]
    assert "street" in by_name["vibe"] and "street" not in by_name["vibe-direct-comp"]
    assert table["tested"] == {"studio", "street", "hall", "gym", "court"} and table["checked"] == {"pose2sim"}


def test_a_model_without_weights_of_its_own_learns_what_their_owner_learns(config: Config):
    own = VariantSettings(title="a", paper="hmmr", encoder="none", datasets=("studio",))
    lent = VariantSettings(title="b", paper="hmmr", encoder="none", datasets=("street",), weights_of="single-view")
    groups = summary.learning_groups(config, {"single-view": own, "single-view-gaussian": lent})
    assert [(group.datasets, group.size) for group in groups] == [(("studio",), 2)]


@pytest.mark.parametrize(
    ("file", "read"),
    [
        ("smoothing.csv", findings.read_smoothing),
        ("difficulty.csv", findings.read_difficulty),
        ("real_check.csv", findings.read_real_check),
    ],
)
def test_a_finding_without_its_columns_is_refused(run: RunFolder, file, read):
    assert len(read(run)) == 2
    (run.root / file).write_text("verdict\nbetter\n")
    with pytest.raises(StorageError, match=rf"{file}: lacks the columns .*; delete it and"):
        read(run)
    (run.root / file).unlink()
    assert read(run) == []


def test_exhibits_stop_at_the_limit_and_damaged_captions_name_their_file(run: RunFolder):
    shown, left = findings.read_exhibits(run, 10**9)
    assert [(exhibit.name, exhibit.is_video) for exhibit in shown] == [("views", False), ("sprint", True)] and left == 0
    assert findings.read_exhibits(run, shown[0].media.n_bytes)[1] == 1
    (run.figures / "real" / "captions.json").write_text("[]")
    with pytest.raises(StorageError, match=r"captions\.json: must map each file to its caption"):
        findings.read_exhibits(run, 10**9)
