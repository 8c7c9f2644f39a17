"""Parquet: the input's bytes up to its footer, then the answers' columns, then one footer of both.

So all columns come back as they are, whatever their types, and a rejected row stays, with null answers. A row
group of the input is a row group of the result, however many functions answer them.

thrift        what a footer is encoded in;  `footer` says where the chunks of columns are
features      the columns that the model reads
columns       the answers to a row group;  `chunks` has them as Parquet
spliced       the footer of both;  `notes` and `arrow_schema` say what other tools have noted in it
reader        all of it, as the file door wants it
"""

from thimble.tables.parquet.reader import Parquet, opened

__all__ = ["Parquet", "opened"]
