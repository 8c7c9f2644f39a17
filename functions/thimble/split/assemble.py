"""Join the results and rejections of the ranges to those of the file."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from itertools import accumulate

from thimble.errors import Unavailable
from thimble.files import multipart
from thimble.files.jobs import Job, Summary
from thimble.files.multipart import Piece
from thimble.files.uploads import Upload
from thimble.split.plan import PartsFolder, Plan, Report
from thimble.tables.blocks import BLOCK_BYTES, LongRecord
from thimble.threads import ahead

LINE = re.compile(rb'^\{"line":(\d+)', re.MULTILINE)  # the beginning of a rejection
READ_AHEAD = 15  # pieces of rejections


def assemble(
    job: Job, plan: Plan, folder: PartsFolder, reports: Sequence[Report], deadline: float
) -> Summary:
    """Write the result and the rejections, and return the outcome for the summary.

    The reports are in order and without gaps; only the last one may refuse the file. Raises Unavailable or
    Late if the time is over.
    """
    reader, tally = job.opened(job.source, plan.head), job.tally()
    lines = [report.counts["lines"] for report in reports]
    before = [*accumulate(lines, initial=reader.first_line - 1)]
    if reports and reports[-1].error:
        return {"error": _absolute(reports[-1], before[-2])}
    for report in reports:
        tally.include(report.counts)
        reader.follow(bytes.fromhex(report.trail))
    counts = job.settled(reader, tally)
    with Upload(job.results, job.paths.rejections) as rejected:
        for data in _rejections(folder, reports, before):
            rejected.write(data)
        rejected.finish()
    if time.monotonic() > deadline:
        raise Unavailable(f"there is no time to join results after {rejected.size} bytes of rejections")
    if "error" in counts:
        return counts
    source = job.source.beginning(reader.prefix)
    results = (folder.version(report.result) for report in reports)
    pieces: list[Piece] = [reader.opening, *results, reader.closing]
    etag = multipart.join(source, pieces, job.results, job.paths.result, folder, deadline)
    return {**counts, "result": job.paths.result, "result_etag": etag}


def _absolute(report: Report, lines_before: int) -> str:
    return report.error if report.error_line is None else str(LongRecord(lines_before + report.error_line))


def _rejections(folder: PartsFolder, reports: Sequence[Report], before: Sequence[int]) -> Iterator[bytes]:
    """Yield the rejections of all ranges, with line numbers of the whole file."""

    def read(place: tuple[Report, int, int]) -> tuple[int, bytes]:
        report, lines, at = place
        return lines, folder.version(report.rejected).read(at, at + BLOCK_BYTES)

    places = (
        (report, lines, at)
        for report, lines in zip(reports, before, strict=False)
        for at in range(0, report.rejected.size, BLOCK_BYTES)
    )
    rest = b""
    for lines, data in ahead(read, places, READ_AHEAD):
        whole, newline, rest = (rest + data).rpartition(b"\n")
        yield renumbered(whole + newline, lines)


def renumbered(rejections: bytes, lines_before: int) -> bytes:
    """Add the number of lines before a range to the line numbers of its rejections."""
    if not lines_before:
        return rejections
    return LINE.sub(lambda found: b'{"line":%d' % (int(found[1]) + lines_before), rejections)
