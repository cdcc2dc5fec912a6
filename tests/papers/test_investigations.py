"""What the ledger says of claims that do not hold: computed from the scores, and looked up."""

import numpy as np
import pytest

from moviestrip.papers import investigations as module
from moviestrip.papers.causes import Comparison
from moviestrip.papers.claims import FAILS, HOLDS, claim_page, judge_claims
from moviestrip.papers.investigations import ORIGINS, investigation_of, investigations, shortfall
from moviestrip.papers.printed import printed_claims, printed_tables
from moviestrip.papers.resamples import Resamples
from moviestrip.papers.table import build_table
from tests.papers.test_claims import SETTING, judged, scores_of


def compared(margin: float, reach: float = 2.0, clips: int = 30, text: str = "e(a) < e(b) on d") -> Comparison:
    low, high = margin - reach, margin + reach
    return Comparison(text, margin, low, high, "mm", low > 0, high < 0, clips)


def test_the_reason_names_what_is_open_beside_the_papers_margin():
    hard = np.random.default_rng(0).gamma(2, 60, (1, 40))
    noise = np.random.default_rng(1).normal(0, 5, (1, 40))
    row = judged(scores_of("mpjpe", contextual=hard - 0.5 + noise - noise.mean(), single_view=hard), "hmmr-03")
    crossing = "the interval crosses the boundary: "
    assert row["reason"].startswith(f"{crossing}mpjpe(contextual) < mpjpe(single-view) on 3dpw by 0.5 mm (-2.")
    assert row["reason"].endswith("; printed 2.9 mm)")


def test_of_many_comparisons_the_broken_are_counted_and_the_worst_named():
    many = [compared(-9 + index, text=f"relation {index}") for index in range(6)] + [compared(8)]
    found = shortfall(many, {"relation 0": "1.5 mm"})
    assert found == (
        "6 of 7 comparisons broken: relation 0 by -9 mm (-11 to -7; printed 1.5 mm), relation 1 by -8 mm (-10 to -6), "
        "relation 2 by -7 mm (-9 to -5), and 3 more"
    )


def test_every_entry_is_of_a_claim_with_a_known_origin_and_says_something():
    entries = investigations()
    assert set(entries["claim_id"]) <= set(printed_claims()["claim_id"])
    assert set(entries["origin"]) <= set(ORIGINS) and set(entries["world"]) <= {"", "miniature", "papers"}
    assert (entries["investigation"].str.len() > 40).all()
    assert not entries.duplicated(["claim_id", "world", "origin"]).any()


def test_what_fails_on_the_printed_numbers_has_an_entry_for_every_world():
    ours = printed_tables().assign(ours=lambda table: table["number"])
    ledger = judge_claims(ours).set_index("claim_id")
    failing = ledger[ledger["verdict_printed"] == FAILS]
    assert len(failing) == 6
    assert (failing["investigation"].str.startswith("printed: ")).all()
    assert (ledger.loc[ledger["verdict"] == HOLDS, "investigation"] == "").all()
    broken = (
        "2 of 10 comparisons broken: pck(contextual-instavariety) > pck(contextual) on nba by -0.3 % (printed -0.3 %), "
    )
    assert failing.loc["hmmr-15", "reason"].startswith(broken)
    assert judge_claims(None)["investigation"].eq("").all()  # nothing is judged, nothing is investigated


def test_an_entry_of_one_world_is_told_there_alone(tmp_path, monkeypatch):
    file = tmp_path / "investigations.csv"
    head = "claim_id,world,origin,investigation\n"
    file.write_text(f'{head}hmmr-03,miniature,budget,"Steps, doubled."\nhmmr-03,,data,Any.\n')
    monkeypatch.setattr(module, "DATA", tmp_path)
    monkeypatch.setattr(module, "_entries", module._entries.__wrapped__)
    assert investigation_of("hmmr-03", "miniature") == "budget: Steps, doubled. data: Any."
    assert investigation_of("hmmr-03", "papers") == "data: Any."
    hard = np.random.default_rng(0).gamma(2, 60, (2, 40))
    scores = scores_of("mpjpe", contextual=hard + 4, single_view=hard)
    ledger = judge_claims(build_table("hmmr", "2", scores, None, SETTING), Resamples(scores, SETTING), SETTING)
    assert "investigation: budget: Steps, doubled." in claim_page("hmmr-03", ledger)
    file.write_text(f"{head}hmmr-03,,luck,Any.\n")
    with pytest.raises(module.FatalError, match="origin: 'luck' is not known; known: budget, data"):
        investigation_of("hmmr-03", "papers")
