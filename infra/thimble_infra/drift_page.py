"""A report of drift as one page: no other file, no other host, no script; legible in light and in dark."""

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Any

from thimble.drift import report

Report = dict[str, Any]
Bar = tuple[str, float, float]  # what it is of, the share of the training data, the share of the rows

MOST_PLOTS = 100  # of the features that moved most; the table has all
WIDTH, TALL = 560, 148  # of a plot, and of its bars
LEFT, TOP = 36, 8  # for the axis and its topmost number
LEVEL, SLANTED = 34, 96  # for the labels below
WIDEST = 36  # a bar
CHARACTER = 5.6  # of a label, about
LONGEST = 18  # characters of a label that is slanted

STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5d6778; --paper: #ffffff; --card: #f6f7f9;
  --line: #dfe3ea; --training: #a9b4c4; --rows: #2563c9; --alarm: #c2321f; --calm: #2f7d4f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf1; --soft: #9aa5b6; --paper: #12161d;
  --card: #1a2029; --line: #2d3643; --training: #5b6779; --rows: #6aa2ff; --alarm: #ff8370;
  --calm: #6fcf97; } }
body { margin: 0 auto; max-width: 76rem; padding: 2rem 1.5rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.05rem; margin: 0; overflow-wrap: anywhere; }
p { margin: .25rem 0; } .soft { color: var(--soft); } code { font-size: .9em; overflow-wrap: anywhere; }
.drift { color: var(--alarm); font-weight: 600; } .stable { color: var(--calm); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; margin: 1rem 0 1.5rem; min-width: 40rem; }
th, td { padding: .3rem 1rem .3rem 0; text-align: right; border-bottom: 1px solid var(--line);
  font-variant-numeric: tabular-nums; white-space: nowrap; }
th { color: var(--soft); font-weight: 500; }
th:first-child, td:first-child, td:last-child { text-align: left; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 34rem), 1fr)); gap: 1rem; }
figure { margin: 0; padding: 1rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; }
figcaption { display: flex; gap: .25rem 1rem; flex-wrap: wrap; align-items: baseline; margin-bottom: .5rem; }
svg { width: 100%; height: auto; display: block; font: 10px system-ui, sans-serif; }
text { fill: var(--soft); }
.training { fill: var(--training); } .rows { fill: var(--rows); } .grid { stroke: var(--line); }
.key i { display: inline-block; width: .75rem; height: .75rem; margin: 0 .35rem 0 1rem; border-radius: 2px; }
.key i:first-child { margin-left: 0; }
i.training { background: var(--training); } i.rows { background: var(--rows); }
"""


def page(found: Sequence[tuple[str, str, tuple[str, ...], Report]]) -> str:
    """Of each model: its name, its digest, the files, and the report of their rows."""
    title = escape(", ".join(f"Drift of {name}" for name, _, _, _ in found))
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{STYLE}</style>\n'
        + "\n".join(_section(*one) for one in found)
        + "\n</html>\n"
    )


def sentence(found: Report) -> str:
    """What a report comes to."""
    if found["verdict"] is None:
        return f"No verdict: {found['rows']} rows are too few, {report.FEWEST_ROWS} are needed."
    if not found["drifted"]:
        return "Stable: nothing moved further than chance explains and the thresholds allow."
    return f"Drift: {', '.join(found['drifted'])}."


def rejected(found: Report) -> str:
    """What is not among the rows: nobody knows how far it has moved."""
    if not (n := found.get("rejected", 0)):
        return ""
    records = found["rows"] + n
    return f"Rejected, and not counted here: {n:,} of {records:,} records ({n / records:.1%})."


def _section(name: str, digest: str, files: tuple[str, ...], found: Report) -> str:
    listed = escape(", ".join(files[:5]) + (f", and {len(files) - 5} more" if len(files) > 5 else ""))
    plots = [_plot(name, entry, found) for name, entry in report.ranked(found)[:MOST_PLOTS]]
    return f"""<main>
<h1>Drift of {escape(name)}</h1>
<p class="soft">{found["rows"]:,} rows of {listed} against {found["reference_rows"]:,} of the training data;
model <code>{digest[:12]}</code></p>
<p class="{found["verdict"] or "soft"}">{escape(sentence(found))}</p>
<p>{rejected(found)}</p>
<div class="scroll">{_table(found)}</div>
<p class="key soft"><i class="training"></i>training data<i class="rows"></i>these rows</p>
<div class="plots">
{"".join(plots)}</div>
</main>"""


def _table(found: Report) -> str:
    titles = ("", "PSI", "Jensen-Shannon", "by chance up to", "missing", "out of range", "")
    head = "".join(f"<th>{title}</th>" for title in titles)
    return f"<table><tr>{head}</tr>{''.join(_row(*item, found) for item in report.ranked(found))}</table>"


def _row(name: str, entry: Report, found: Report) -> str:
    numbers = [f"{entry[key]:.3f}" for key in ("psi", "js", "chance")]
    shares = [f"{entry[key]:.1%}" if key in entry else "" for key in ("missing", "out_of_range")]
    cells = "".join(f"<td>{cell}</td>" for cell in (escape(name), *numbers, *shares))
    return f"<tr>{cells}<td{_word(name, entry, found)}</td></tr>"


def _word(name: str, entry: Report, found: Report) -> str:
    if name in found["drifted"]:
        return ' class="drift">drift'
    return f">{entry['verdict'] or ''}"


def _plot(name: str, entry: Report, found: Report) -> str:
    numbers = f"PSI {entry['psi']:.3f}, Jensen-Shannon {entry['js']:.3f}"
    return (
        f"<figure><figcaption><h2>{escape(name)}</h2><span{_word(name, entry, found)}</span> "
        f'<span class="soft">{numbers}</span></figcaption>{_bars(_shares(entry, found))}</figure>\n'
    )


def _shares(entry: Report, found: Report) -> list[Bar]:
    """Left to right; what is outside or missing only where there is any, at the end what is missing."""
    reference = [n / max(found["reference_rows"], 1) for n in entry["reference"]]
    observed = [n / max(found["rows"], 1) for n in entry["observed"]]
    bars = list(zip(_labels(entry), reference, observed, strict=True))
    if "labels" in entry:
        return bars
    missing, outside, *inner = bars
    if "edges" in entry:
        *inner, above = inner
        return [*_any(outside), *inner, *_any(above), *_any(missing)]
    return [*inner, *_any(outside), *_any(missing)]


def _any(bar: Bar) -> list[Bar]:
    return [bar] if bar[1] or bar[2] else []


def _labels(entry: Report) -> list[str]:
    """Of the counts, in their order."""
    if "labels" in entry:
        return list(entry["labels"])
    if "categories" in entry:
        return ["missing", "other", *entry["categories"]]
    edges = list(map(_number, entry["edges"]))
    return ["missing", f"below {edges[0]}", *map(" to ".join, pairwise(edges)), f"above {edges[-1]}"]


def _number(edge: float) -> str:
    return f"{edge:.0f}" if 1e5 <= abs(edge) < 1e15 else f"{edge:.6g}"


def _bars(bars: list[Bar]) -> str:
    """Side by side, a pair a bin; all bins are as wide, what they are of is written below."""
    top, width = _ceiling(max(share for _, *both in bars for share in both)), (WIDTH - LEFT) / len(bars)
    slanted = any(len(line) * CHARACTER > width for label, *_ in bars for line in _lines(label))
    height = TOP + TALL + (SLANTED if slanted else LEVEL)
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img">', *map(_tick, range(5), [top] * 5)]
    for i, (label, *both) in enumerate(bars):
        middle = LEFT + (i + 0.5) * width
        title = f"{label}: {both[0]:.1%} of the training data, {both[1]:.1%} of these rows"
        pair = _pair(middle, min(0.4 * width, WIDEST), [100 * share / top for share in both])
        below = _slanted(label, middle) if slanted else _level(label, middle)
        parts.append(f"<g><title>{escape(title)}</title>{pair}{below}</g>")
    return "".join([*parts, "</svg>"])


def _tick(quarter: int, top: float) -> str:
    y = TOP + TALL * (1 - quarter / 4)
    return (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y}" y2="{y}"/>'
        f'<text x="{LEFT - 6}" y="{y + 3}" text-anchor="end">{top * quarter / 4:.3g}%</text>'
    )


def _pair(middle: float, thick: float, shares: Sequence[float]) -> str:
    parts = []
    for kind, x, share in zip(("training", "rows"), (middle - thick, middle), shares, strict=True):
        place = (
            f'x="{x:.1f}" y="{TOP + TALL * (1 - share):.1f}" width="{thick:.1f}" height="{TALL * share:.1f}"'
        )
        parts.append(f'<rect class="{kind}" {place}/>')
    return "".join(parts)


def _ceiling(share: float) -> float:
    """The next round percentage that four lines part evenly."""
    return next((c for c in (4, 8, 12, 20, 32, 40, 60, 80) if c >= 100 * share), 100)


def _lines(label: str) -> list[str]:
    for word in (" to ", "below ", "above "):
        label = label.replace(word, f"\n{word.strip()} " if word == " to " else f"{word.strip()}\n")
    return label.split("\n")


def _level(label: str, x: float) -> str:
    return "".join(
        f'<text x="{x:.1f}" y="{TOP + TALL + 14 + 12 * k}" text-anchor="middle">{escape(line)}</text>'
        for k, line in enumerate(_lines(label))
    )


def _slanted(label: str, x: float) -> str:
    first, to, _ = label.partition(" to ")
    text = f"from {first}" if to else label
    text = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    y = TOP + TALL + 12
    turned = f'transform="rotate(-60 {x:.1f} {y})"'
    return f'<text x="{x:.1f}" y="{y}" text-anchor="end" {turned}>{escape(text)}</text>'
