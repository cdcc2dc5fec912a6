"""A built table as CSV, Markdown, LaTeX and HTML: laid out as printed, ours beside theirs and never mistaken for it.

The printed number stands upright, ours in italics (and in colour where there is colour) with its interval; the
caption names the world. Files hold fixed digits, so that the same numbers give the same bytes.
"""

import html
import io
import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from moviestrip.papers.audit import MARKS, MarkedNote, notes_of_cell, notes_of_table
from moviestrip.papers.cells import cell_id
from moviestrip.papers.forecasts import BESIDE_WARPED
from moviestrip.papers.layout import METRIC_TITLES, Column, Layout, layout
from moviestrip.papers.protocols import protocol_of
from moviestrip.papers.table import COLUMNS, summary_of
from moviestrip.papers.worlds import EXTRA_ROWS, PAPER_DATASETS, Setting, stand_in

CSV_DECIMALS = 4
MARKDOWN_WIDTH = 118
ARROWS = {"higher": " ↑", "lower": " ↓", "": ""}
UNIT_SUFFIXES = {"k_frames": "k", "M_frames": "M"}
HEADER_UNITS = {"%": "%", "mm": "mm", "mm/frame^2": "mm/frame²", "min": "min", "s": "s", "fps": "fps"}
NOTHING = "–"
BETWEEN = " │ "  # not the ASCII bar, which would end a Markdown cell
RAISED = str.maketrans(MARKS, "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ")
NOTES_TITLE = "What does not fit in the printed numbers:"

TABLE_STYLE = """
.paper-table{margin:1.5em 0;overflow-x:auto;font:14px/1.5 system-ui,sans-serif}
.paper-table table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}
.paper-table th,.paper-table td{padding:.25em .5em;text-align:right;white-space:nowrap}
.paper-table thead th{text-align:center;border-bottom:1px solid #bbb;font-weight:600}
.paper-table tbody th{text-align:left;font-weight:400}
.paper-table tbody tr:hover{background:#f6f6f6}
.paper-table .ours{color:#0b62a4;font-style:italic}
.paper-table .interval{color:#7a8a99;font-size:.85em;font-style:italic}
.paper-table .first{border-left:1px solid #ccc}
.paper-table td:target{background:#fff3c4;outline:2px solid #c98a00}
.paper-table .added th,.paper-table .added td{background:#eef5fb}
.paper-table figcaption{max-width:75em;margin-bottom:.6em}
.paper-table .audit{max-width:75em;margin:.6em 0;font-size:.92em}
.paper-table .audit ul{margin:.2em 0;padding-left:1.2em}
.paper-table .world{background:#0b62a4;color:#fff;border-radius:.3em;padding:.05em .45em;font-size:.85em}
""".strip()

LATEX_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "Φ": r"$\Phi$", "Θ": r"$\Theta$",
    "×": r"$\times$", "✓": r"$\surd$", "✗": r"$\times$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "²": "$^2$",
    "–": "--", "│": r"$\mid$", "±": r"$\pm$",
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One cell as text; `ours` is empty where there is no number of ours, `marks` where no note is about it."""

    printed: str
    ours: str
    interval: str
    marks: str = ""
    address: str = ""  # in HTML


@dataclass(frozen=True)
class Grid:
    """A table ready to be drawn: labels down the side, columns, and a cell for each."""

    layout: Layout
    labels: tuple[str, ...]
    added: tuple[bool, ...]  # a row of ours that the paper does not print
    cells: tuple[tuple[Cell, ...], ...]


def grid_of(table: pd.DataFrame) -> Grid:
    """The long table of `build_table` as rows and columns in the order printed."""
    shape = layout(str(table["paper"].iat[0]), str(table["table"].iat[0]))
    rows: dict[tuple[str, str], dict[tuple[str, str, str, str], Cell]] = {}
    for _, cell in table.iterrows():
        row = rows.setdefault((shape.row_label(cell), str(cell["row_id"])), {})
        row[shape.column_key(cell)] = _cell_of(cell)
    extra = {row.row_id for row in EXTRA_ROWS.get((shape.paper, shape.number), ())}
    return Grid(
        shape,
        tuple(label for label, _ in rows),
        tuple(row_id in extra for _, row_id in rows),
        tuple(tuple(row[column.key] for column in shape.columns) for row in rows.values()),
    )


def _cell_of(cell: pd.Series) -> Cell:
    unit, ours = str(cell["unit"]), float(cell["ours"])
    printed = _printed_text(str(cell["printed"]), unit)
    marks = "".join(found.mark for found in notes_of_cell(cell)) if cell["printed"] else ""
    address = cell_id(cell.to_dict())
    if math.isnan(ours):
        return Cell(printed, "", "", marks, address)
    low, high = float(cell["low"]), float(cell["high"])
    interval = "" if math.isnan(low) else f"[{_number_text(low, unit)}, {_number_text(high, unit)}]"
    return Cell(printed, _number_text(ours, unit), interval, marks, address)


def _printed_text(text: str, unit: str) -> str:
    if unit == "bool":
        return {"1": "✓", "0": "✗"}.get(text, NOTHING)
    return text + UNIT_SUFFIXES.get(unit, "") if text else NOTHING


def _number_text(value: float, unit: str) -> str:
    if unit == "bool":
        return "✓" if value else "✗"
    if unit == "frames":
        return f"{value:.0f}"
    if unit == "M_frames" and value < 0.1:  # a miniature's millions are thousands
        value, unit = value * 1000, "k_frames"
    return f"{value:.1f}{UNIT_SUFFIXES.get(unit, '')}"


def caption_of(table: pd.DataFrame, setting: Setting) -> str:
    """What the numbers are, on what, how sure, and what is missing: everything a reader needs beside the table."""
    filled = table[table["ours"].notna()]
    parts = [f"Printed: the paper's own numbers. Ours ({world_name(setting)}): {_filled_text(filled, setting)}"]
    parts.append(_how(table, setting))
    if (filled["low"].isna() & filled["seeds"].notna()).any():
        parts.append("One clip alone has no interval.")
    if (table["horizon"] != "").any():
        parts.append("'at +n' is n frames ahead.")
    if setting.forecast_reading == "mean_up_to_horizon" and name_of(table) in BESIDE_WARPED:
        parts.append(
            "Ours at +n is the mean over frames 1 to n, as with time warping; the printed is of frame n alone."
        )
    pending = table.loc[table["ours"].isna(), "note"].str.extract(r"pending: (.*)$")[0].dropna().unique()
    if len(pending):
        parts.append(f"Pending: {summary_of(pending)}.")
    return " ".join(parts)


def notes_below(table: pd.DataFrame) -> tuple[MarkedNote, ...]:
    """What does not fit in the printed numbers of a table."""
    return notes_of_table(name_of(table))


def name_of(table: pd.DataFrame) -> str:
    return f"{table['paper'].iat[0]}-{table['table'].iat[0]}"


def world_name(setting: Setting) -> str:
    return "miniature world" if setting.world == "miniature" else "the papers' datasets"


def _filled_text(filled: pd.DataFrame, setting: Setting) -> str:
    if filled.empty:
        return "nothing yet."
    datasets = [name for name in filled["dataset"].unique() if name]
    sizes = []
    for name in datasets:
        rows = filled[filled["dataset"] == name]
        size = f"{_counted(rows['clips'], 'clip')}, {_counted(rows['frames'], 'frame')}"
        plays = f" plays {PAPER_DATASETS[name].title}" if setting.world == "miniature" else ""
        sizes.append(f"{stand_in(name, setting.world)}{plays} ({size})")
    warning = " They stand beside the printed numbers, not in their place." if setting.world == "miniature" else ""
    return "; ".join(sizes) + "." + warning


def _counted(counts: pd.Series, thing: str) -> str:
    low, high = int(counts.min()), int(counts.max())
    number = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"{number} {thing}{'' if high == 1 else 's'}"


def _how(table: pd.DataFrame, setting: Setting) -> str:
    if table["seeds"].isna().all() and (table["unit"] == "bool").any():
        return "Counted over all curated clips of all splits."
    seeds = "1 training seed" if len(setting.seeds) == 1 else f"{len(setting.seeds)} training seeds"
    left_out = setting.trained_without
    without = f"; trained without {left_out}" if left_out else ""
    return (
        f"Body: {setting.body}; detector: {setting.detector}; backbone: {setting.backbone}; protocol: "
        f"{_protocols(table, setting)}; {seeds}{without}. Means over clips with {setting.interval_percent:g} % "
        f"bootstrap intervals over motions and seeds."
    )


def _protocols(table: pd.DataFrame, setting: Setting) -> str:
    """The protocols of a table, such as 'vibe (on MPI-INF-3DHP mpi-inf-3dhp)'."""
    name = name_of(table)
    usual = protocol_of(name, "", setting.protocol)
    own = {dataset: protocol_of(name, dataset, setting.protocol) for dataset in table["dataset"].unique() if dataset}
    others = [f"on {PAPER_DATASETS[dataset].title} {found}" for dataset, found in own.items() if found != usual]
    return usual + (f" ({', '.join(others)})" if others else "")


def to_csv(table: pd.DataFrame) -> str:
    """The long table with fixed digits: equal numbers are equal bytes."""
    fixed = table[COLUMNS].copy()
    for name in ("ours", "low", "high"):
        fixed[name] = [_fixed(value) for value in table[name]]
    buffer = io.StringIO()
    fixed.to_csv(buffer, index=False, lineterminator="\n")
    return buffer.getvalue()


def _fixed(value: float) -> str:
    text = "" if math.isnan(value) else f"{value:.{CSV_DECIMALS}f}"
    return text.removeprefix("-") if text.strip("-0.") == "" else text


def to_markdown(table: pd.DataFrame, setting: Setting) -> str:
    """As printed, cut between columns into tables narrow enough to read as plain text."""
    grid = grid_of(table)
    texts = [[_markdown_cell(cell) for cell in row] for row in grid.cells]
    labels = [_markdown_escape(label) for label in grid.labels]
    key = f"Each cell: printed{BETWEEN}*ours ({world_name(setting)})* with its interval."
    parts = [f"### {grid.layout.heading}", _wrapped(caption_of(table, setting)), key]
    for columns in _markdown_parts(grid.layout.columns, labels, texts):
        parts.append(_markdown_table(grid.layout, columns, labels, texts))
    notes = [_markdown_note(found) for found in notes_below(table)]
    parts += [NOTES_TITLE, "\n".join(notes)] if notes else []
    return "\n\n".join(parts) + "\n"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, MARKDOWN_WIDTH, break_long_words=False, break_on_hyphens=False)


def _markdown_cell(cell: Cell) -> str:
    ours = f"*{cell.ours}*" if cell.ours else NOTHING
    printed = cell.printed + cell.marks.translate(RAISED)
    return f"{printed}{BETWEEN}{ours}{' ' + cell.interval if cell.interval else ''}"


def _markdown_note(found: MarkedNote) -> str:
    mark = f"{found.mark.translate(RAISED)} " if found.mark else ""
    text = f"- {mark}{_markdown_escape(_note_text(found))}"
    return textwrap.fill(text, MARKDOWN_WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _note_text(found: MarkedNote) -> str:
    return f"{found.note.text} ({found.note.source})"


def _markdown_escape(text: str) -> str:
    return text.replace("|", "\\|").replace("[", "\\[").replace("_", "\\_").replace("*", "\\*")


def _markdown_parts(
    columns: Sequence[Column], labels: Sequence[str], texts: Sequence[Sequence[str]]
) -> Iterator[list[int]]:
    """Groups of neighbouring columns, each no wider than `MARKDOWN_WIDTH`, never across two datasets."""
    part: list[int] = []
    width = start = max(map(len, labels)) + 4
    for index, column in enumerate(columns):
        needed = max(len(_header(column)), *(len(row[index]) for row in texts)) + 3
        if part and (width + needed > MARKDOWN_WIDTH or column.dataset != columns[part[0]].dataset):
            yield part
            part, width = [], start
        part.append(index)
        width += needed
    yield part


def _markdown_table(
    shape: Layout, columns: Sequence[int], labels: Sequence[str], texts: Sequence[Sequence[str]]
) -> str:
    dataset = _dataset_title(shape.columns[columns[0]].dataset) or shape.side.capitalize()
    lines = [[dataset, *(_header(shape.columns[index]) for index in columns)]]
    lines += [[label, *(row[index] for index in columns)] for label, row in zip(labels, texts, strict=True)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    drawn = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([drawn[0], rule, *drawn[1:]])


def _header(column: Column) -> str:
    name = METRIC_TITLES.get(column.metric, column.metric) + ARROWS[column.better]
    unit = HEADER_UNITS.get("mm/frame^2" if column.unit == "mm/s^2" else column.unit, "")
    horizon = f" at {int(column.horizon):+d}" if column.horizon else ""
    return f"{name}{' ' + unit if unit else ''}{horizon}"


def _dataset_title(dataset: str) -> str:
    return PAPER_DATASETS[dataset].title if dataset else ""


def _dataset_groups(columns: Sequence[Column]) -> list[tuple[str, int]]:
    """Neighbouring columns of one dataset: its title and how many."""
    groups: list[tuple[str, int]] = []
    for column in columns:
        title = _dataset_title(column.dataset)
        if groups and groups[-1][0] == title:
            groups[-1] = (title, groups[-1][1] + 1)
        else:
            groups.append((title, 1))
    return groups


def to_latex(table: pd.DataFrame, setting: Setting) -> str:
    """A floating table for booktabs, graphicx and xcolor, as wide as the page."""
    grid = grid_of(table)
    columns = grid.layout.columns
    groups = _dataset_groups(columns)
    spans = [rf"\multicolumn{{{count}}}{{c}}{{{latex_escape(title)}}}" for title, count in groups]
    rules, start = [], 2
    for title, count in groups:
        rules.append(rf"\cmidrule(lr){{{start}-{start + count - 1}}}" if title else "")
        start += count
    lines = [
        "% needs \\usepackage{booktabs,graphicx,xcolor}",
        r"\begin{table*}",
        rf"\caption{{{latex_escape(grid.layout.heading + '. ' + caption_of(table, setting))}}}",
        r"\resizebox{\textwidth}{!}{%",
        rf"\begin{{tabular}}{{l{'c' * len(columns)}}}",
        r"\toprule",
        *([" & ".join(["", *spans]) + r" \\", "".join(rules)] if any(title for title, _ in groups) else []),
        " & ".join([grid.layout.side.capitalize(), *(latex_escape(_header(column)) for column in columns)]) + r" \\",
        r"\midrule",
    ]
    for label, row in zip(grid.labels, grid.cells, strict=True):
        lines.append(" & ".join([latex_escape(label), *map(_latex_cell, row)]) + r" \\")
    notes = [_latex_note(found) for found in notes_below(table)]
    below = [r"\par\smallskip", r"{\footnotesize", NOTES_TITLE, *notes, "}"] if notes else []
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}}", *below, r"\end{table*}"]) + "\n"


def _latex_cell(cell: Cell) -> str:
    printed = latex_escape(cell.printed) + _latex_mark(cell.marks)
    if not cell.ours:
        return rf"{printed} $\mid$ --"
    interval = rf" {{\scriptsize {latex_escape(cell.interval)}}}" if cell.interval else ""
    return rf"{printed} $\mid$ \textcolor{{blue}}{{\textit{{{latex_escape(cell.ours)}}}{interval}}}"


def _latex_note(found: MarkedNote) -> str:
    return rf"\par {_latex_mark(found.mark)}{latex_escape(_note_text(found))}"


def _latex_mark(mark: str) -> str:
    return rf"$^{{\mathrm{{{mark}}}}}$" if mark else ""


def latex_escape(text: str) -> str:
    return "".join(LATEX_ESCAPES.get(letter, letter) for letter in text)


def to_html(table: pd.DataFrame, setting: Setting) -> str:
    """A fragment with its own style, to stand alone or inside the report."""
    grid = grid_of(table)
    heading = html.escape(grid.layout.heading)
    world = html.escape(world_name(setting))
    groups = _dataset_groups(grid.layout.columns)
    first = [index == 0 for _, count in groups for index in range(count)]
    top = "".join(f'<th class="first" colspan="{count}">{html.escape(title)}</th>' for title, count in groups)
    names = "".join(
        _html_tag("th", new, html.escape(_header(c))) for new, c in zip(first, grid.layout.columns, strict=True)
    )
    head = (f"<tr><th></th>{top}</tr>" if any(title for title, _ in groups) else "") + (
        f'<tr><th><span class="printed">printed</span> | <span class="ours">ours ({world})</span></th>{names}</tr>'
    )
    body = "".join(_html_row(*row, first) for row in zip(grid.labels, grid.added, grid.cells, strict=True))
    return (
        f'<figure class="paper-table" id="{grid.layout.paper}-{grid.layout.number}"><style>{TABLE_STYLE}</style>\n'
        f'<figcaption><strong>{heading}</strong> <span class="world">{world}</span><br>\n'
        f"{html.escape(caption_of(table, setting))}</figcaption>\n"
        f"<table><thead>{head}</thead>\n<tbody>\n{body}</tbody></table>\n{_html_notes(table)}</figure>\n"
    )


def _html_notes(table: pd.DataFrame) -> str:
    notes = "".join(
        f"<li>{_html_mark(found.mark)}{html.escape(_note_text(found))}</li>\n" for found in notes_below(table)
    )
    return f'<div class="audit">{NOTES_TITLE}<ul>\n{notes}</ul></div>\n' if notes else ""


def _html_mark(mark: str) -> str:
    return f"<sup>{mark}</sup>" if mark else ""


def _html_row(label: str, added: bool, row: Sequence[Cell], first: Sequence[bool]) -> str:
    style = ' class="added"' if added else ""
    cells = "".join(_html_tag("td", new, _html_cell(cell), cell.address) for new, cell in zip(first, row, strict=True))
    return f"<tr{style}><th>{html.escape(label)}</th>{cells}</tr>\n"


def _html_tag(tag: str, first_of_dataset: bool, content: str, address: str = "") -> str:
    place = f' id="{html.escape(address)}"' if address else ""
    return f"<{tag}{place}{' class=first' if first_of_dataset else ''}>{content}</{tag}>"


def _html_cell(cell: Cell) -> str:
    ours = f'<span class="ours">{html.escape(cell.ours)}</span>' if cell.ours else NOTHING
    interval = f' <span class="interval">{html.escape(cell.interval)}</span>' if cell.interval else ""
    return f'<span class="printed">{html.escape(cell.printed)}{_html_mark(cell.marks)}</span> | {ours}{interval}'


def render_table(table: pd.DataFrame, setting: Setting) -> dict[str, str]:
    """The text of each file of a table, by its ending: csv, md, tex, html."""
    return {
        "csv": to_csv(table),
        "md": to_markdown(table, setting),
        "tex": to_latex(table, setting),
        "html": to_html(table, setting),
    }
