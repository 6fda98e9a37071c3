"""Packets of the binary protocol: requests to bytes, bytes to answers."""

import struct
from dataclasses import dataclass

HEADER = struct.Struct(">BBHBBHIIQ")
REQUEST, ANSWER = 0x80, 0x81

GET, SET, ADD, REPLACE, DELETE, INCREMENT, DECREMENT, QUIT, FLUSH, GETQ, NOOP, VERSION = range(0x0C)
GETK, GETKQ, APPEND, PREPEND, STAT, SETQ, ADDQ, REPLACEQ, DELETEQ, INCREMENTQ, DECREMENTQ = range(0x0C, 0x17)
QUITQ, FLUSHQ, APPENDQ, PREPENDQ, VERBOSITY, TOUCH, GAT, GATQ = range(0x17, 0x1F)
SASL_LIST, SASL_AUTH, SASL_STEP, GATK, GATKQ = range(0x20, 0x25)

STORES = (SET, SETQ, ADD, ADDQ, REPLACE, REPLACEQ)
JOINS = (APPEND, APPENDQ, PREPEND, PREPENDQ)
COUNTS = (INCREMENT, INCREMENTQ, DECREMENT, DECREMENTQ)


@dataclass(frozen=True)
class Request:
    """A request; `cas` may be the number of a version that a server showed, counted from 1: see `Versions`."""

    opcode: int
    key: bytes = b""
    extras: bytes = b""
    value: bytes = b""
    cas: int = 0
    shown_cas: int = 0
    opaque: int = 0
    # What the header says instead of the truth.
    lies: tuple = ()

    def bytes_for(self, versions):
        says = dict(
            magic=REQUEST,
            keylen=len(self.key),
            extlen=len(self.extras),
            datatype=0,
            vbucket=0,
            bodylen=len(self.extras) + len(self.key) + len(self.value),
        )
        says.update(self.lies)
        cas = versions.of(self.shown_cas) if self.shown_cas else self.cas
        head = HEADER.pack(
            says["magic"], self.opcode, says["keylen"], says["extlen"], says["datatype"], says["vbucket"],
            says["bodylen"], self.opaque, cas,
        )
        return head + self.extras + self.key + self.value


@dataclass(frozen=True)
class Answer:
    """An answer; `cas` is the number of the version, as `Versions` counts them."""

    opcode: int
    status: int
    opaque: int
    key: bytes
    extras: bytes
    value: bytes
    cas: int


class Versions:
    """The cas uniques that a server has shown, numbered in order: of two servers these numbers are compared."""

    def __init__(self):
        self.numbers, self.shown = {0: 0}, [0]

    def number(self, cas):
        if cas not in self.numbers:
            self.numbers[cas] = len(self.shown)
            self.shown.append(cas)
        return self.numbers[cas]

    def of(self, number):
        return self.shown[number % len(self.shown)] if number < len(self.shown) else (1 << 63) - 25


def answers(data, versions):
    """The whole answers at the front of `data`, and what is left of it."""
    found, at = [], 0
    while len(data) - at >= HEADER.size:
        magic, opcode, keylen, extlen, _, status, bodylen, opaque, cas = HEADER.unpack_from(data, at)
        assert magic == ANSWER, f"no answer: {data[at : at + 24]!r}"
        end = at + HEADER.size + bodylen
        if end > len(data):
            break
        body = data[at + HEADER.size : end]
        extras, key, value = body[:extlen], body[extlen : extlen + keylen], body[extlen + keylen :]
        found.append(Answer(opcode, status, opaque, key, extras, value, versions.number(cas)))
        at = end
    return found, data[at:]
