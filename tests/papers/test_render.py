"""What is drawn: every printed value, ours marked as ours, the world named, and the same bytes each time."""

import html
import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from moviestrip.papers import render
from moviestrip.papers.printed import printed, table_names
from moviestrip.papers.table import build_table
from moviestrip.papers.worlds import Setting

SETTING = Setting(
    "miniature", "free body", "BlazePose full (embedded)", "blazepose-full", "papers",
    ("studio", "street", "gym", "court"), ("single-view", "contextual"), (0,), 200, 95.0, 0,
)  # fmt: skip


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows = [
        (
            variant,
            0,
            protocol,
            dataset,
            f"c{clip}",
            f"m{clip}",
            "",
            metric,
            "all",
            0,
            rng.normal(80, 5),
            "mm",
            False,
            64,
            0,
        )
        for protocol in ("hmmr", "vibe", "tcmr", "tcmr-table6", "phd")
        for variant in SETTING.variants
        for dataset in ("street", "gym", "court")
        for metric in ("pck", "mpjpe", "pa_mpjpe", "accel", "accel_error")
        for clip in range(5)
    ]
    names = (
        "variant seed protocol dataset clip_id group action metric condition horizon value unit dtw frames "
        "degenerate_frames"
    )
    return pd.DataFrame(rows, columns=names.split())


@pytest.fixture(scope="module", params=table_names())
def table(request, scores) -> pd.DataFrame:
    return build_table(*request.param.split("-"), scores, None, SETTING)


def test_every_printed_value_is_drawn_in_every_format(table):
    cells = printed(table["paper"].iat[0], table["table"].iat[0])
    values = [value for value, unit in zip(cells["value"], cells["unit"], strict=True) if value and unit != "bool"]
    for text in (
        render.to_markdown(table, SETTING),
        html.unescape(render.to_html(table, SETTING)),
        render.to_latex(table, SETTING),
        render.to_csv(table),
    ):
        body = text.split("(miniature world)")[-1] if text.startswith("###") else text
        found = re.findall(r"\d+(?:\.\d+)?", body)
        assert all(found.count(value) >= values.count(value) for value in set(values))


def test_markdown_is_narrow_enough_to_read(table):
    lines = render.to_markdown(table, SETTING).splitlines()
    assert max(map(len, lines)) <= 120
    bars = [line.count("|") for line in lines if line.startswith("|")]
    assert len(bars) > 2 and "\\[2 layers" in "".join(lines) if table["table"].iat[0] == "vibe-3" else True


def test_every_drawing_names_the_world_and_marks_ours(table):
    for text in (render.to_markdown(table, SETTING), render.to_html(table, SETTING), render.to_latex(table, SETTING)):
        assert "miniature world" in text
    ours = int(table["ours"].notna().sum())
    assert render.to_html(table, SETTING).split("<tbody>")[1].count('class="printed"') == len(table)
    assert render.to_html(table, SETTING).split("<tbody>")[1].count('class="ours"') == ours
    assert render.to_latex(table, SETTING).count(r"\textcolor{blue}") == ours


def test_every_cell_has_an_address_of_its_own(table):
    addresses = re.findall(r'<td id="([^"]+)"', render.to_html(table, SETTING))
    assert len(addresses) == len(set(addresses)) == len(table)
    start = f"cell-{table['paper'].iat[0]}-{table['table'].iat[0]}-"
    assert all(re.fullmatch(start + r"[\w-]+", address) for address in addresses)


def test_latex_is_balanced_and_has_a_place_for_every_cell(table):
    text = render.to_latex(table, SETTING)
    assert text.count("{") == text.count("}")
    assert not re.search(r"(?<!\\)[%#_](?! needs)", text.replace("{!}{%", ""))
    assert text.isascii() or set(re.findall(r"[^\x00-\x7f]", text)) <= {"é", "ö", "ü"}
    columns = len(re.search(r"\{tabular\}\{l(c+)\}", text)[1])
    for line in text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines():
        assert len(re.findall(r"(?<!\\)&", line)) == columns


def test_latex_escapes():
    assert render.latex_escape("a_b & 5% #1 $x {y} ~^\\") == (
        r"a\_b \& 5\% \#1 \$x \{y\} \textasciitilde{}\textasciicircum{}\textbackslash{}"
    )
    assert render.latex_escape("AR on Φ ↑ ± – ✓") == r"AR on $\Phi$ $\uparrow$ $\pm$ -- $\surd$"


def test_csv_has_fixed_digits_and_survives_a_round_trip(table, tmp_path):
    text = render.to_csv(table)
    assert text == render.to_csv(table.copy()) and "\r" not in text
    (tmp_path / "t.csv").write_text(text)
    back = pd.read_csv(tmp_path / "t.csv", dtype=str, keep_default_na=False)
    assert back["printed"].tolist() == table["printed"].tolist()
    for name in ("ours", "low", "high"):
        for written, value in zip(back[name], table[name], strict=True):
            assert (written == "") if math.isnan(value) else re.fullmatch(r"-?\d+\.\d{4}", written)


def test_tiny_differences_do_not_change_a_byte(scores):
    first = build_table("hmmr", "2", scores, None, SETTING)
    second = first.assign(ours=first["ours"] + 1e-9, low=first["low"] - 1e-12)
    assert render.to_csv(first) == render.to_csv(second)
    assert "-0.0000" not in render.to_csv(first.assign(ours=-1e-9))


def test_the_caption_says_world_body_protocol_seeds_detector_backbone_and_sizes(scores):
    caption = render.caption_of(build_table("hmmr", "2", scores, None, SETTING), SETTING)
    for words in (
        "miniature world", "street plays 3DPW (5 clips, 320 frames)", "free body", "BlazePose full", "blazepose-full",
        "protocol: hmmr", "1 training seed.", "95 % bootstrap",
        "variants single-view-gaussian, single-view-one-euro, contextual-no-dynamics are not trained",
    ):  # fmt: skip
        assert words in caption


def test_the_caption_says_what_models_were_trained_without(scores):
    without = replace(SETTING, train_without=("nba", "penn-action", "kinetics-400"))
    for paper, number, says in (("hmmr", "2", True), ("hmmr", "1", False)):
        caption = render.caption_of(build_table(paper, number, scores, None, without), without)
        assert ("1 training seed; trained without NBA, Penn Action, kinetics-400." in caption) == says
    assert "trained without" not in render.caption_of(build_table("hmmr", "2", scores, None, SETTING), SETTING)


def test_a_table_has_four_files(scores):
    files = render.render_table(build_table("hmmr", "2", scores, None, SETTING), SETTING)
    assert list(files) == ["csv", "md", "tex", "html"] and all(len(text) > 500 for text in files.values())


def test_added_rows_are_set_apart(scores):
    page = render.to_html(build_table("hmmr", "2", scores, None, SETTING), SETTING)
    assert page.count('<tr class="added"><th>Single-view + Gaussian smoothing (our baseline)</th>') == 1


def test_counts_are_written_as_one_would():
    counted = [render._counted(pd.Series(counts), "clip") for counts in ([1, 1], [3, 3], [1, 2500])]
    assert counted == ["1 clip", "3 clips", "1 to 2,500 clips"]


def test_a_single_clip_has_no_interval_and_the_caption_says_so(scores):
    table = build_table("hmmr", "2", scores[scores["clip_id"] == "c0"], None, SETTING)
    assert table["low"].isna().all() and table["ours"].notna().any()
    assert "One clip alone has no interval." in render.caption_of(table, SETTING)
    assert 'class="interval"' not in render.to_html(table, SETTING)
