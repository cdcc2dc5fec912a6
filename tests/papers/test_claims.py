"""The claims judged on the papers' own numbers give the verdicts and the very cells recorded with them."""

import re

import numpy as np
import pandas as pd
import pytest

from moviestrip.errors import FatalError
from moviestrip.papers.claims import FAILS, HOLDS, NOT_IN_TABLES, UNDECIDED, evaluate, judge_claims
from moviestrip.papers.printed import printed_claims, printed_tables

CLAIMS = printed_claims().to_dict("records")


@pytest.fixture(scope="module")
def ledger() -> pd.DataFrame:
    return judge_claims(None)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim["claim_id"])
def test_each_claim_on_printed_numbers(claim, ledger):
    judged = ledger.set_index("claim_id").loc[claim["claim_id"]]
    recorded = claim["paper_values"].split(" | ")[0]
    verdict, _, values = recorded.partition(": ")
    assert judged["verdict_printed"] == verdict
    found, expected = numbers_in(judged["values_printed"]), numbers_in(values)
    assert expected.items() <= found.items()
    in_all = re.findall(r"\((\d+) values in all\)", values)  # the record cuts long lists short
    assert len(found) == (int(in_all[0]) if in_all else len(expected))


def numbers_in(text: str) -> dict[str, float]:
    return {cell: float(value) for cell, value in re.findall(r"(\w+\([^)]*\)\[[^]]*\])=([-\d.]+)", text)}


def test_the_tally_is_61_hold_6_fail_and_3_are_not_in_tables(ledger):
    assert ledger["verdict_printed"].value_counts().to_dict() == {HOLDS: 61, FAILS: 6, NOT_IN_TABLES: 3}


def test_without_our_numbers_every_claim_waits_and_says_for_what(ledger):
    waiting = ledger[ledger["verdict"] != NOT_IN_TABLES]
    assert set(waiting["verdict"]) == {UNDECIDED}
    assert waiting["reason"].str.startswith("pending: ").all()


def test_our_numbers_are_judged_like_theirs():
    ours = printed_tables().assign(ours=lambda table: table["number"])
    judged = judge_claims(ours)
    assert judged["verdict"].tolist() == judged["verdict_printed"].tolist()
    one_table = ours[(ours["paper"] == "hmmr") & (ours["table"] == "2")]
    partial = judge_claims(one_table).set_index("claim_id")["verdict"]
    assert partial["hmmr-01"] == HOLDS and partial["hmmr-04"] == FAILS and partial["hmmr-12"] == UNDECIDED


def small(**numbers: float) -> pd.DataFrame:
    rows = [
        {"paper": "p", "table": "1", "row_id": row, "dataset": "d", "metric": "e", "horizon": "", "action": "",
         "dtw": "", "number": number}
        for row, number in numbers.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        ("e(a) < e(b) on d", HOLDS),
        ("e(a) < e(b) < e(c) on d", HOLDS),
        ("e(a) < e(c) < e(b) on d", FAILS),
        ("e(b)-e(a)*2 <= 0 on d", HOLDS),
        ("(e(a)+e(b))*2 >= e(c)+3 on d", HOLDS),
        ("abs(e(a)-e(c)) <= 1 on d", FAILS),
        ("max(e(a),e(b)) < min(e(c),9) on d and e(a) > 0", HOLDS),
        ("sum(e(a)<e(b),e(b)<e(a),e(a)<e(c)) >= 2 on d", HOLDS),
        ("m(r) > 0 on d for m in {e} for r in {a,b,c}", HOLDS),
        ("e(r) > 1.5 on d for r in {a,b,c}", FAILS),
        ("e(a) < e(b) on d ; e(c) < e(a) on d", FAILS),
        ("e(a) < e(missing) on d", UNDECIDED),
        ("e(a) > e(b) on d ; e(a) < e(missing) on d", FAILS),
        ("manual: look at it", NOT_IN_TABLES),
    ],
)
def test_the_language(check, verdict):
    assert evaluate(check.replace(" on d and", " and"), small(a=1, b=2, c=3, missing=np.nan), "p").verdict == verdict


def test_decimals_do_not_decide_an_equality():
    assert evaluate("e(a) <= 0.6*e(b) on d", small(a=0.6 * 27.3 + 1e-12, b=27.3), "p").verdict == HOLDS


@pytest.mark.parametrize("check", ["e(a) on d", "e(a) < on d", "e(a) < e(b) e(c)", "? < e(a)"])
def test_a_check_that_cannot_be_read_is_an_error(check):
    with pytest.raises(FatalError, match="cannot read the check"):
        evaluate(check, small(a=1, b=2, c=3), "p")


def test_a_cell_that_no_table_prints_or_two_print_differently_is_an_error():
    with pytest.raises(FatalError, match="prints no e\\(z\\)"):
        evaluate("e(z) > 0 on d", small(a=1), "p")
    twice = pd.concat([small(a=1), small(a=2).assign(table="2")])
    with pytest.raises(FatalError, match="table="):
        evaluate("e(a) > 0 on d", twice, "p")
    assert evaluate("e(a,table=2) > 1 on d", twice, "p").verdict == HOLDS
