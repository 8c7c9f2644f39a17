"""`thimble drift`: show how far the rows of classified files have moved, from the summaries beside them."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import obstore
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from thimble.drift import report
from thimble.drift.drawing import drawing
from thimble.errors import InvalidInput
from thimble_infra import buckets, drift_page, given, inputs, outputs, printing
from thimble_infra.stacks import Registry

SUMMARY = "summary.json"
SHOWN = 20  # features that moved most


@dataclass(frozen=True)
class Drifting:
    """The rows of some files by one model, compared with its training data."""

    model: str
    digest: str
    files: tuple[str, ...]
    report: dict[str, Any]


def show(
    results: Sequence[str],
    html: Path | None,
    registry: Registry,
    *,
    model: str | None = None,
    as_json: bool = False,
) -> bool:
    """Show a table for each model, and write one page with plots. Return whether no model has drifted."""
    outputs.check_files(html)
    found = reports(results, registry.endpoint_url)
    if model:
        found = _by(model, registry, found)
    if html is not None:
        page = drift_page.page([(one.model, one.digest, one.files, one.report) for one in found])
        outputs.write(html, page.encode())
    if as_json:
        printing.as_json([asdict(one) | {"drawing": drawing(one.report)} for one in found])
    else:
        _print_all(found, html)
    return not any(one.report["drifted"] for one in found)


def _print_all(found: Sequence[Drifting], html: Path | None) -> None:
    standard = html is not None and outputs.is_standard(html)
    console = Console(highlight=False, stderr=standard)
    if not console.is_terminal:
        console = Console(highlight=False, width=120, stderr=standard)
    for number, one in enumerate(found):
        if number:
            console.print()
        _print(console, one)
    if html is not None and not standard:
        console.print(f"\nwrote {html}", markup=False)


def _by(model: str, registry: Registry, found: Sequence[Drifting]) -> list[Drifting]:
    """Return the reports of one model. Raises InvalidInput if there are none."""
    digest = given.model(model, registry).loaded().digest
    if not (chosen := [one for one in found if one.digest == digest]):
        others = ", ".join(f"{one.model} ({one.digest[:12]})" for one in found)
        raise InvalidInput(f"none of these results is by {model} ({digest[:12]}); they are by {others}")
    return chosen


def reports(results: Sequence[str], endpoint_url: str | None = None) -> list[Drifting]:
    """Return a report for each model, in order of occurrence. Raises InvalidInput if there are none."""
    by_model: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for place, summary in _summaries(results, endpoint_url):
        if summary.get("drift"):
            by_model.setdefault(summary["model"]["digest"], []).append((place, summary))
    if not by_model:
        raise InvalidInput(
            f"there is nothing to compare in {', '.join(results)}: no summary of a file that a model "
            "classified which knows its training data (export it anew, with them)"
        )
    return [
        Drifting(
            model=found[0][1]["model"]["name"] or "the model",
            digest=digest,
            files=tuple(place for place, _ in found),
            report=report.merged([summary["drift"] for _, summary in found])
            | {"rejected": sum(summary["rejections"] for _, summary in found)},
        )
        for digest, found in by_model.items()
    ]


def _summaries(results: Iterable[str], endpoint_url: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each file's name and its summary. The summaries of refused files have no drift."""
    for result in results:
        found = list(_in_bucket(result, endpoint_url) if result.startswith("s3://") else _here(result))
        if not found:
            raise InvalidInput(
                f"there is no summary of {result}, nor below it: name a result of `thimble classify` or "
                "`thimble drop -o`, or a folder of them"
            )
        for place, data in found:
            summary = _summary(place, data)
            yield summary.get("input", {}).get("key", place), summary


def _summary(place: str, data: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise InvalidInput(f"{place} is no summary of a result: name results, or folders of them")
    return found


def _here(result: str) -> Iterator[tuple[str, bytes]]:
    if result == inputs.STANDARD_INPUT:
        yield from (("standard input", data) for data in _summaries_in(sys.stdin.buffer.read()))
        return
    path = Path(result)
    if path.is_dir():
        paths = sorted(path.rglob(f"*{SUMMARY}"))
    elif path.name.endswith(SUMMARY):
        paths = [path]
    else:
        beside = (path.with_name(f"{path.name}.{SUMMARY}"), path.with_name(SUMMARY))
        paths = [one for one in beside if one.is_file()][:1]
    for one in paths:
        try:
            yield str(one), one.read_bytes()
        except OSError as error:
            raise InvalidInput(f"{one} cannot be read: {error.strerror}") from None


def _summaries_in(data: bytes) -> Iterator[bytes]:
    """Yield the one summary, or each line's summary."""
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        yield from filter(bytes.strip, data.splitlines())
    else:
        yield data


def _in_bucket(result: str, endpoint_url: str | None) -> Iterator[tuple[str, bytes]]:
    """Yield the summaries below a prefix or beside a result, with their URIs."""
    bucket, _, key = result.removeprefix("s3://").partition("/")
    folder, _, name = key.rstrip("/").rpartition("/")
    prefix = folder if name.startswith("result.") or name == SUMMARY else key.rstrip("/")
    with buckets.reading(bucket, endpoint_url) as objects:
        for path in buckets.keys(objects, f"{prefix}/" if prefix else ""):
            if path.endswith(SUMMARY):
                yield f"s3://{bucket}/{path}", bytes(obstore.get(objects, path).bytes())


def _print(console: Console, one: Drifting) -> None:
    found = one.report
    files = one.files[0] if len(one.files) == 1 else f"{len(one.files)} files"
    console.print(
        f"{files}, by {one.model} ({one.digest[:12]}): {found['rows']:,} rows against "
        f"{found['reference_rows']:,} of the training data",
        markup=False,
    )
    console.print(_table(found))
    for line in filter(None, (drift_page.sentence(found), drift_page.rejected(found))):
        console.print(line, markup=False)


def _table(found: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for title in ("PSI", "Jensen-Shannon", "chance", "missing", "out of range"):
        table.add_column(title, justify="right")
    table.add_column("")
    compared = report.ranked(found)
    for name, entry in compared[:SHOWN]:
        distances = [f"{entry[key]:.3f}" for key in ("psi", "js", "chance")]
        shares = [f"{entry[key]:.1%}" if key in entry else "" for key in ("missing", "out_of_range")]
        word = "drift" if name in found["drifted"] else entry["verdict"] or ""
        table.add_row(Text(name), *distances, *shares, word)
    if len(compared) > SHOWN:
        table.add_row(f"and {len(compared) - SHOWN} that moved less")
    return table
