"""Records' own bytes, and after each what is added to it: text out, in bulk."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from thimble.tables.blocks import Block, Flags, is_utf8

BOM = b"\xef\xbb\xbf"
UNUSED = b"\x1f"  # the unit separator: text hardly ever holds one


@dataclass(frozen=True)
class Appending:
    """The records that are to be answered. Bytes that are not UTF-8 pass through as Latin-1, one for one."""

    block: Block

    @cached_property
    def encoding(self) -> str:
        return "utf-8" if is_utf8(self.block.data) else "latin-1"

    def only(self, chosen: Flags) -> Appending:
        return self if chosen.all() else Appending(self.block.only(chosen))

    def text(self, value: str) -> str:
        """Added text, so that it comes out in UTF-8 whatever the records are in."""
        return value.encode().decode(self.encoding)

    @cached_property
    def records(self) -> pl.Series:
        """The records' text without their line endings."""
        block = self.block
        if len(block.ends) == block.lines and UNUSED not in block.data:
            data = block.data if self.encoding == "utf-8" else block.data.decode(self.encoding).encode()
            frame = pl.read_csv(
                guarded(data),
                has_header=False,
                schema={"record": pl.String},
                separator=UNUSED.decode(),
                quote_char=None,
            )
            if frame.height == len(block.ends):
                return frame.to_series()
        texts = [block.record(i).decode(self.encoding) for i in range(len(block.ends))]
        return pl.Series("record", texts, pl.String)

    def written(self, columns: Sequence[pl.Series], separator: str = ",") -> bytes:
        """Lines of the columns, as they are, each with the line ending that its record has."""
        returns = self.block.returns
        ending = "\r\n" if returns.all() else "\n"
        if ending == "\n" and returns.any():
            endings = pl.Series(["", "\r"]).gather(returns.astype(np.intp))
            last = pl.select(pl.concat_str(columns[-1], endings)).to_series()
            columns = [*columns[:-1], last]
        named = [column.alias(str(k)) for k, column in enumerate(columns)]
        out = io.BytesIO()
        pl.DataFrame(named).write_csv(
            out, include_header=False, separator=separator, line_terminator=ending, quote_style="never"
        )
        if self.encoding == "utf-8":
            return out.getvalue()
        return out.getvalue().decode().encode(self.encoding)


def guarded(data: bytes) -> bytes:
    """polars drops a byte order mark, wherever in the file the data come from."""
    return BOM + data if data.startswith(BOM) else data
