"""Thrift's compact protocol, as much of it as a Parquet footer takes: structs to dicts by field id, and back.

A value's class is its type, so that what is not looked at is written as it was read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

MAX_DEPTH = 32  # of structs and lists within each other; a footer takes about six
MAX_BITS = 64  # of an integer

Struct = dict[int, Any]


class Byte(int):
    """Also a boolean of a list, where it is 1 or 2."""


class I16(int):
    pass


class I32(int):
    pass


class I64(int):
    pass


class Double(bytes):
    """The eight bytes of one."""


class List(list[Any]):
    def __init__(self, of: int, values: Iterable[Any]) -> None:
        super().__init__(values)
        self.of = of  # the code of the elements' type


class Set(List):
    pass


TRUE, FALSE = 1, 2  # of a field; in a list a boolean is a byte
CODES = dict(zip((Byte, I16, I32, I64, Double, bytes, List, Set, dict), (*range(3, 11), 12), strict=True))
CLASSES = {code: class_ for class_, code in CODES.items()} | dict.fromkeys((TRUE, FALSE), Byte)


def structs(values: Iterable[Struct]) -> List:
    return List(CODES[dict], values)


def loads(data: bytes) -> Struct:
    """The struct that the data begin with; IndexError or ValueError if they do not."""
    return _Reader(data).struct()


def dumps(struct: Struct) -> bytes:
    out, before = bytearray(), 0
    for identifier, value in sorted(struct.items()):
        kind = type(value)
        code = (TRUE if value else FALSE) if kind is bool else CODES[kind]
        delta = identifier - before
        if 0 < delta <= 15:
            out.append(delta << 4 | code)
        else:
            out += bytes([code]) + varint(identifier << 1)
        out += _written(kind, value)
        before = identifier
    out.append(0)
    return bytes(out)


def _written(kind: type, value: Any) -> bytes:
    if kind in (I32, I64, I16):
        return varint((value << 1) ^ (value >> 63))
    if kind is bytes:
        return b"".join((varint(len(value)), value))
    if kind is dict:
        return dumps(value)
    if kind in (List, Set):
        size = len(value)
        header = bytes([min(size, 15) << 4 | value.of]) + (varint(size) if size >= 15 else b"")
        return header + b"".join([_written(type(element), element) for element in value])
    if kind is bool:  # its field says which
        return b""
    return bytes([value]) if kind is Byte else bytes(value)


def varint(n: int) -> bytes:
    if n <= 0x7F:
        return bytes([n])
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
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
            delta, code = header >> 4, header & 0x0F
            identifier = identifier + delta if delta else self.zigzag()
            if not 0 < identifier < 1 << 15:
                raise ValueError("a field has no such number")
            fields[identifier] = code == TRUE if code in (TRUE, FALSE) else self.value(code)
        return fields

    def value(self, code: int) -> Any:
        class_ = CLASSES.get(code)
        if class_ in (I32, I64, I16):
            return class_(self.zigzag())
        if class_ is bytes:
            return self.bytes(self.varint())
        if class_ is Byte:
            return Byte(self.byte())
        if class_ is Double:
            return Double(self.bytes(8))
        if class_ is None:
            raise ValueError(f"type {code} has no place in a Parquet footer")
        if self.depth == MAX_DEPTH:
            raise ValueError("structs are nested too deeply")
        self.depth += 1
        found = self.struct() if class_ is dict else self.list(class_)
        self.depth -= 1
        return found

    def list(self, class_: type[List]) -> List:
        header = self.byte()
        size, of = header >> 4, header & 0x0F
        if size == 15:
            size = self.varint()
        return class_(of, [self.value(of) for _ in range(size)])
