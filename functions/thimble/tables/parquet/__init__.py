"""Parquet files, and the thrift of their footers."""

from thimble.tables.parquet.reader import Parquet, opened

__all__ = ["Parquet", "opened"]
