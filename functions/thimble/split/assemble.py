"""The ranges' reports, results and rejections put together as those of the file."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import accumulate

from thimble.errors import Unavailable
from thimble.files import streams
from thimble.files.jobs import Job, Summary
from thimble.files.streams import LongRecord
from thimble.files.uploads import Upload
from thimble.split import divided, joining
from thimble.split.joining import Piece
from thimble.split.plan import Folder, Plan, Report

LINE = re.compile(rb'^\{"line":(\d+)', re.MULTILINE)  # how a rejection begins
READ_AHEAD = 15  # pieces of rejections


def assembled(job: Job, plan: Plan, folder: Folder, reports: Sequence[Report], deadline: float) -> Summary:
    """What the summary says, the result being written, by reports that follow one another. Only the last of
    them may be of a refusal."""
    shared, tally = divided.opened(job, plan.head), job.tally()
    lines = [report.counts["lines"] for report in reports]
    before = [*accumulate(lines, initial=(shared.first_line or 1) - 1)]
    if reports and reports[-1].error:
        return {"error": _absolute(reports[-1], before[-2])}
    for report in reports:
        tally.include(report.counts)
        shared.follow(bytes.fromhex(report.closing))
    tally.reconcile()
    job.look_again()
    counts, error = job.counts(shared.form, tally), job.too_many_rejected(tally)
    job.make_way(kept=("rejected",) if error else ("rejected", "result"))
    with Upload(job.results, job.paths.rejections) as rejected:
        for data in _rejections(folder, reports, before):
            rejected.write(data)
        rejected.finish()
    if time.monotonic() > deadline:
        raise Unavailable(f"there is no time to join results after {rejected.size} bytes of rejections")
    if error:
        return {**counts, "error": error}
    pieces: list[Piece] = [shared.form.opening, *(report.result for report in reports), shared.form.closing]
    etag = joining.join(folder, pieces, job.results, job.paths.result, deadline)
    return {**counts, "result": job.paths.result, "result_etag": etag}


def _absolute(report: Report, lines_before: int) -> str:
    return report.error if report.error_line is None else str(LongRecord(lines_before + report.error_line))


def _rejections(folder: Folder, reports: Sequence[Report], before: Sequence[int]) -> Iterator[bytes]:
    """Their lines, with the numbers that they have in the file."""

    def read(report: Report, lines: int, at: int) -> tuple[int, bytes]:
        return lines, joining.read(folder, report.rejected, at, at + streams.BLOCK_BYTES)

    calls = (
        partial(read, report, lines, at)
        for report, lines in zip(reports, before, strict=False)
        for at in range(0, report.rejected.size, streams.BLOCK_BYTES)
    )
    rest = b""
    for lines, data in streams.ahead(calls, READ_AHEAD):
        whole, newline, rest = (rest + data).rpartition(b"\n")
        yield renumbered(whole + newline, lines)


def renumbered(rejections: bytes, lines_before: int) -> bytes:
    """Whole lines, with that many lines of the file before those that they count."""
    if not lines_before:
        return rejections
    return LINE.sub(lambda found: b'{"line":%d' % (int(found[1]) + lines_before), rejections)
