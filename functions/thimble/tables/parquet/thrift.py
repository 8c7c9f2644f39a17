"""Thrift's compact protocol, as much of it as a Parquet footer takes: structs to dicts by field id, and back.

A value is kept with its type, so that what is not looked at is written as it was read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
INTEGERS = (I16, I32, I64)
MAX_DEPTH = 32  # of structs and lists within each other; a footer takes about six
MAX_BITS = 64  # of an integer

Struct = dict[int, "Value"]


@dataclass(slots=True)
class Value:
    """Integers are int, BINARY is bytes, DOUBLE its eight bytes, LIST a list of Values, STRUCT a Struct."""

    type: int
    value: Any
    of: int = 0  # the type of a list's elements


def i32(n: int) -> Value:
    return Value(I32, n)


def i64(n: int) -> Value:
    return Value(I64, n)


def binary(data: bytes) -> Value:
    return Value(BINARY, data)


def structs(values: Iterable[Struct]) -> Value:
    return Value(LIST, [Value(STRUCT, value) for value in values], STRUCT)


def loads(data: bytes) -> Struct:
    """The struct that the data begin with; IndexError or ValueError if they do not."""
    return _Reader(data).struct()


def dumps(struct: Struct) -> bytes:
    out = bytearray()
    _write_struct(out, struct)
    return bytes(out)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.depth = data, 0, 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def bytes(self, length: int) -> bytes:
        self.at += length
        if self.at > len(self.data):
            raise ValueError("the data end too early")
        return self.data[self.at - length : self.at]

    def varint(self) -> int:
        result = shift = 0
        while True:
            byte = self.byte()
            result |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return result
            if shift >= MAX_BITS:
                raise ValueError("an integer is too long")

    def zigzag(self) -> int:
        n = self.varint()
        return (n >> 1) ^ -(n & 1)

    def struct(self) -> Struct:
        fields: Struct = {}
        identifier = 0
        while header := self.byte():
            delta, type_ = header >> 4, header & 0x0F
            identifier = identifier + delta if delta else self.zigzag()
            if not 0 < identifier < 1 << 15:
                raise ValueError("a field has no such number")
            fields[identifier] = self.value(type_)
        return fields

    def value(self, type_: int) -> Value:
        if type_ not in (LIST, SET, STRUCT):
            return self.plain(type_)
        if self.depth == MAX_DEPTH:
            raise ValueError("structs are nested too deeply")
        self.depth += 1
        found = Value(type_, self.struct()) if type_ == STRUCT else self.list(type_)
        self.depth -= 1
        return found

    def plain(self, type_: int) -> Value:
        if type_ in (TRUE, FALSE):
            return Value(type_, None)
        if type_ in INTEGERS:
            return Value(type_, self.zigzag())
        if type_ == BYTE:
            return Value(type_, self.byte())
        if type_ == DOUBLE:
            return Value(type_, self.bytes(8))
        if type_ == BINARY:
            return Value(type_, self.bytes(self.varint()))
        raise ValueError(f"type {type_} has no place in a Parquet footer")

    def list(self, type_: int) -> Value:
        header = self.byte()
        size, of = header >> 4, header & 0x0F
        if size == 15:
            size = self.varint()
        if of in (TRUE, FALSE):  # in a list a boolean is a byte
            return Value(type_, [Value(BYTE, self.byte()) for _ in range(size)], of)
        return Value(type_, [self.value(of) for _ in range(size)], of)


def varint(n: int) -> bytes:
    out = bytearray()
    _write_varint(out, n)
    return bytes(out)


def _write_varint(out: bytearray, n: int) -> None:
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)


def _write_struct(out: bytearray, struct: Struct) -> None:
    before = 0
    for identifier, value in sorted(struct.items()):
        delta = identifier - before
        if 0 < delta <= 15:
            out.append(delta << 4 | value.type)
        else:
            out.append(value.type)
            _write_varint(out, identifier << 1)
        _write_value(out, value)
        before = identifier
    out.append(0)


def _write_value(out: bytearray, value: Value) -> None:
    if value.type in INTEGERS:
        _write_varint(out, (value.value << 1) ^ (value.value >> 63))
    elif value.type == BYTE:
        out.append(value.value)
    elif value.type == DOUBLE:
        out += value.value
    elif value.type == BINARY:
        _write_varint(out, len(value.value))
        out += value.value
    elif value.type in (LIST, SET):
        _write_list(out, value)
    elif value.type == STRUCT:
        _write_struct(out, value.value)


def _write_list(out: bytearray, value: Value) -> None:
    size = len(value.value)
    out.append(min(size, 15) << 4 | value.of)
    if size >= 15:
        _write_varint(out, size)
    for element in value.value:
        _write_value(out, element)
