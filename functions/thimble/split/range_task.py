"""One function's share of a file: a range, classified into the folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from thimble.errors import InvalidFile, Unavailable
from thimble.files import streams
from thimble.files.jobs import Job
from thimble.files.streams import Late, LongRecord, Tally
from thimble.split import divided, ranges
from thimble.split.divided import Divided
from thimble.split.plan import Folder, Plan, Report, Stored
from thimble.split.ranges import Range
from thimble.tables.blocks import Part

TANGLED = (
    "where records begin cannot be told from within the file, whose quoted fields hold newlines, and what is "
    "left of it is too much for the time that one function has: quote no newlines, or send smaller files"
)


def classified(job: Job, plan: Plan, folder: Folder, part: Range, deadline: float) -> Report:
    """The report, not written yet. What would refuse the file is reported like a result."""
    shared, tally = divided.opened(job, plan.head), job.tally()
    part_from = asdict(part) | {"start": shared.begin(part)}
    parts = streams.in_time(shared.parts(part_from["start"], part.stop), deadline)
    try:
        return Report(**part_from, **_written(shared, parts, tally, folder, _name(part_from)))
    except LongRecord as error:
        return Report(**part_from, end=None, counts=tally.counts, error=str(error), error_line=error.line)
    except InvalidFile as error:
        return Report(**part_from, end=None, counts=tally.counts, error=str(error))
    except Late:
        if part.round <= ranges.GUESSES:
            raise Unavailable(
                f"range {part.index} takes more time than one function has: lower RANGE_BYTES"
            ) from None
        return Report(**part_from, end=None, counts=tally.counts, error=TANGLED)


def _name(part: dict[str, int]) -> str:
    """With where it begins: what a wrong guess left never passes for what is right."""
    return f"{part['index']:06d}-{part['start']}"


def _written(
    shared: Divided, parts: Iterator[Part], tally: Tally, folder: Folder, name: str
) -> dict[str, Any]:
    """A report's further fields."""
    with (
        folder.upload(f"{name}.result") as result,
        folder.upload(f"{name}.rejections") as rejected,
    ):
        for piece in streams.pieces(shared.form, parts, rejected, tally):
            result.write(piece)
        tally.reconcile()
        return {
            "end": shared.end,
            "counts": tally.counts,
            "rejected": Stored(rejected.path, rejected.size, rejected.finish()),
            "result": Stored(result.path, result.size, result.finish()),
            "closing": shared.form.closing.hex(),
        }
