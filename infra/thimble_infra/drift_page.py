"""Write a report of drift as one HTML page without other files, other hosts or scripts, in light and dark."""

from collections.abc import Sequence
from html import escape
from typing import Any

from thimble.drift import drawing, report

Report = dict[str, Any]
Bar = tuple[str, float, float]  # its label, the share of the training data, the share of the rows

MOST_PLOTS = 100  # plots, for the features that moved most; the table has all features
WIDTH, TALL = 560, 148  # the plot's width, and the bars' height
LEFT, TOP = 36, 8  # the room for the axis and for its topmost number
LEVEL, SLANTED = 34, 96  # the room for level or slanted labels below
WIDEST = 40  # the most half a bar may have
CHARACTER = 5.6  # the approximate width of a label's character
LONGEST = 18  # characters of a slanted label
LAST = {"other": 1, "missing": 2}  # bins that come after all others

STYLE = """
:root { color-scheme: light dark; --ink: #16181b; --soft: #5a6169; --paper: #ffffff; --line: #e4e7ea;
  --training: #dadfe4; }
@media (prefers-color-scheme: dark) { :root { --ink: #eef0f2; --soft: #9ca4ad; --paper: #121416;
  --line: #2a2f34; --training: #363d44; } }
body { margin: 0 auto; max-width: 72rem; padding: 3.5rem clamp(1.25rem, 4.5vw, 3rem) 5rem;
  background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: clamp(1.875rem, 1.05rem + 3vw, 3rem); line-height: 1.1; letter-spacing: -.024em;
  margin: 0 0 1.25rem; overflow-wrap: anywhere; }
h2 { font-size: .9375rem; font-weight: 400; margin: 0; overflow-wrap: anywhere; }
p { margin: .25rem 0; } .soft { color: var(--soft); } code { font-size: .9em; overflow-wrap: anywhere; }
.drift { font-weight: 650; } .stable { color: var(--soft); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; margin: 2rem 0; min-width: 40rem;
  font-size: .875rem; }
th, td { padding: .4375rem 1.75rem .4375rem 0; text-align: right; border-bottom: 1px solid var(--line);
  font-variant-numeric: tabular-nums; white-space: nowrap; }
th { color: var(--soft); font-weight: 400; }
th:first-child, td:first-child, td:last-child { text-align: left; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 28rem), 1fr));
  gap: 2.5rem; margin-top: 1.5rem; }
figure { margin: 0; }
figcaption { display: flex; gap: .25rem 1rem; flex-wrap: wrap; align-items: baseline; margin-bottom: .5rem;
  font-size: .875rem; }
svg { width: 100%; height: auto; display: block; font: 10px system-ui, sans-serif; }
text { fill: var(--soft); }
.training { fill: var(--training); } .rows { stroke: var(--ink); stroke-width: 2; }
.grid { stroke: var(--line); }
"""


def page(found: Sequence[tuple[str, str, tuple[str, ...], Report]]) -> str:
    """Return the page. Each model has its name, its digest, the files, and the report of their rows."""
    title = escape(", ".join(f"Drift of {name}" for name, _, _, _ in found))
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{STYLE}</style>\n'
        + "\n".join(_section(*one) for one in found)
        + "\n</html>\n"
    )


def sentence(found: Report) -> str:
    """Return the report's verdict as a sentence."""
    if found["verdict"] is None:
        return f"No verdict: {found['rows']} rows are too few, {report.FEWEST_ROWS} are needed."
    if not found["drifted"]:
        return "Stable: nothing moved further than chance explains and the thresholds allow."
    return f"Drift: {', '.join(found['drifted'])}."


def rejected(found: Report) -> str:
    """Return a sentence on rejected records, whose drift is unknown; "" if there are none."""
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
<p class="soft">Behind: the training data. The line: these rows.</p>
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
    """Return the bars from left to right; those of other and missing values come last, if there are any."""
    training, rows = max(found["reference_rows"], 1), max(found["rows"], 1)
    bins = sorted(drawing.bins(entry), key=lambda each: LAST.get(each["kind"], 0))
    return [(_label(each, entry), each["training"] / training, each["now"] / rows) for each in bins]


def _label(each: Report, entry: Report) -> str:
    match each["kind"]:
        case "range":
            return f"{_number(each['low'])} to {_number(each['high'])}"
        case "below":
            return f"below {_number(entry['edges'][0])}"
        case "above":
            return f"above {_number(entry['edges'][-1])}"
        case "category":
            return str(each["text"])
        case kind:
            return str(kind)


def _number(edge: float) -> str:
    return f"{edge:.0f}" if 1e5 <= abs(edge) < 1e15 else f"{edge:.6g}"


def _bars(bars: list[Bar]) -> str:
    """Return the plot: a pair of bars for each bin, all of the same width, with labels below."""
    top, width = _ceiling(max(share for _, *both in bars for share in both)), (WIDTH - LEFT) / len(bars)
    slanted = any(len(line) * CHARACTER > width for label, *_ in bars for line in _lines(label))
    height = TOP + TALL + (SLANTED if slanted else LEVEL)
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img">', *map(_tick, range(5), [top] * 5)]
    for i, (label, *both) in enumerate(bars):
        middle = LEFT + (i + 0.5) * width
        title = f"{label}: {both[0]:.1%} of the training data, {both[1]:.1%} of these rows"
        pair = _pair(middle, min(0.44 * width, WIDEST), [100 * share / top for share in both])
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
    """Return a bin's pair: the training data as a bar behind, the rows as a line in front."""
    left, right = middle - thick, middle + thick
    behind, front = (TOP + TALL * (1 - share) for share in shares)
    return (
        f'<rect class="training" x="{left:.1f}" y="{behind:.1f}" width="{2 * thick:.1f}" '
        f'height="{TOP + TALL - behind:.1f}"/>'
        f'<line class="rows" x1="{left:.1f}" x2="{right:.1f}" y1="{front:.1f}" y2="{front:.1f}"/>'
    )


def _ceiling(share: float) -> float:
    """Return the next round percentage that divides evenly by four, for the axis."""
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
