"""Classify one range of a file into the job's folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from thimble.errors import InvalidFile, Late, Unavailable
from thimble.files import streams
from thimble.files.jobs import Job
from thimble.split import ranges
from thimble.split.plan import PartsFolder, Plan, Report, Stored
from thimble.split.ranges import Range
from thimble.tables.blocks import LongRecord, Part, Reader

TANGLED = (
    "the file cannot be split, because its quoted fields hold newlines, and the rest of it takes longer than "
    "one function has: write no newlines in quoted fields, or send smaller files"
)


def classify(job: Job, plan: Plan, folder: PartsFolder, part: Range, deadline: float) -> Report:
    """Write a range's result and rejections, and return its report.

    An error that refuses the file is in the report. Raises Unavailable if the range takes too long.
    """
    reader, tally = job.opened(job.source, plan.head), job.tally()
    guessed = part.index > 0 and part.round == 0
    start = reader.first_record(part.start, part.stop) if guessed else part.start
    parts = streams.until_deadline(reader.parts(start, part.stop, 1, job.workers), deadline)
    report = Report(part.index, part.round, start, part.stop, end=None, counts={})
    try:
        report = _written(reader, parts, tally, folder, report)
    except LongRecord as error:
        report = replace(report, error=str(error), error_line=error.line)
    except InvalidFile as error:
        report = replace(report, error=str(error))
    except Late:
        if part.round <= ranges.GUESSES:
            raise Unavailable(
                f"range {part.index} takes more time than one function has: lower RANGE_BYTES"
            ) from None
        report = replace(report, error=TANGLED)
    return replace(report, counts=tally.counts)


def _written(
    reader: Reader, parts: Iterator[Part], tally: streams.Tally, folder: PartsFolder, report: Report
) -> Report:
    """Write a range's objects and return its report.

    Their names hold the byte where the range begins, so the objects of a wrong guess are never mistaken for
    the right ones.
    """
    name, end = f"{report.index:06d}-{report.start}", report.start

    def followed() -> Iterator[Part]:
        nonlocal end
        for part in parts:
            end = part.end
            yield part

    with folder.upload(f"{name}.result") as result, folder.upload(f"{name}.rejections") as rejected:
        for piece in streams.result_pieces(reader, followed(), rejected, tally):
            result.write(piece)
        tally.reconcile()
        return replace(
            report,
            end=end,
            rejected=Stored(rejected.path, rejected.size, rejected.finish()),
            result=Stored(result.path, result.size, result.finish()),
            trail=reader.trail.hex(),
        )
