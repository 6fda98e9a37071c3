"""Random streams of the binary protocol: every opcode with its quiet form, good and lying headers."""

import random
import struct
import time

from packets import (
    APPENDQ, COUNTS, DELETE, DELETEQ, FLUSH, FLUSHQ, GAT, GATK, GATKQ, GATQ, GET, GETK, GETKQ, GETQ,
    JOINS, NOOP, QUIT, QUITQ, SASL_AUTH, SASL_LIST, SASL_STEP, SET, STAT, STORES, TOUCH, VERBOSITY, VERSION,
    Request,
)

KEYS = [b"k%d" % n for n in range(24)] + [b"p:a", b"p:b", b"q:a", b" ", b"\0", b"a b\r\nc", bytes(range(128, 160))]
KEYS += [b"x" * 250, b"y" * 249]
NUMBERS = [b"n%d" % n for n in range(6)]
GETS = (GET, GETQ, GETK, GETKQ, GAT, GATQ, GATK, GATKQ)
NUMBER_VALUES = [b"0", b"1", b"99", b"5   ", b"18446744073709551616", b"x", b"", b"-1", b"1" * 21]
BEYOND_SIGNED = (2**63, 2**64 - 1)
BIG = bytes(range(256)) * 4097
REPORTS = [b"foo", b"detail", b"detail x", b"detail dump", b"sizes", b"rese"]


class BinaryCommands:
    """The stream of frames, each a list of requests, that a seed stands for."""

    def __init__(self, seed, full=True):
        """`full`: the oracle is of 1.6.45.

        For older ones a flush with an exptime takes back one without, numbers from 2^63 on are none, and lengths from
        2^31 on close without an answer.
        """
        self.full = full
        self.random = random.Random(seed)
        self.now = int(time.time())
        self.opaque = 0
        self.counts, self.fetches_numbers = True, True

    def frame(self, length):
        """Requests that go together: of those either fetch numbers or count.

        memcached makes a new item of one that it counts while its value waits to be sent, and shows fewer spaces behind
        it then.
        """
        length = self.random.randint(1, length)
        self.counts = length == 1 or self.random.random() < 0.5
        self.fetches_numbers = length == 1 or not self.counts
        return [self.request() for _ in range(length)]

    def request(self):
        pick = self.random.random()
        kinds = (
            (0.30, self.get), (0.58, self.store), (0.66, self.join), (0.76, self.delete), (0.90, self.count),
            (0.94, self.touch), (0.985, self.other), (1.0, self.flush),
        )
        return next(kind for end, kind in kinds if pick < end)()

    def made(self, opcode, key=b"", extras=b"", value=b"", **more):
        """A request with an opaque, and sometimes a version: 0 mostly, or one that was shown, or nobody's."""
        self.opaque = (self.opaque + 0x01000193) % (1 << 32)
        if opcode in (*STORES, *JOINS, *COUNTS, DELETE, DELETEQ) and self.random.random() < 0.3:
            more["shown_cas"] = self.random.choice((1 << 40, self.random.randrange(1, 4000)))
        if self.random.random() < 0.02:
            unread = (("datatype", self.random.randrange(256)), ("vbucket", self.random.randrange(65536)))
            more["lies"] = (*more.get("lies", ()), *unread)
        return Request(opcode, key, extras, value, opaque=self.opaque, **more)

    def key(self):
        return self.random.choice(KEYS if self.random.random() < 0.8 else NUMBERS)

    def fetched_key(self):
        return self.key() if self.fetches_numbers else self.random.choice(KEYS)

    def exptime(self):
        # None is near: the two clocks do not tick together.
        of_time = (self.now + 5000, self.now - 90_000, 2**31 - 1, 2**31, 2**32 - 1)
        return self.random.choice((0, 0, 0, 10_000, 2592000, 2592001, *of_time))

    def value(self, key):
        pick = self.random.random()
        if key in NUMBERS:
            return self.random.choice(NUMBER_VALUES)
        if pick < 0.75:
            return self.random.randbytes(self.random.choice((0, 1, 2, 7, 30, 100, 600)))
        if pick < 0.97:
            return self.random.choice(NUMBER_VALUES)
        size = self.random.choice((16_000, 16_384, 16_385, 40_000, 200_000, 1_048_200, 1_048_577))
        return BIG[self.random.randrange(256) :][:size]

    def get(self):
        opcode = self.random.choice(GETS[:4] * 3 + GETS[4:])
        extras = struct.pack(">I", self.exptime()) if opcode in GETS[4:] else b""
        return self.made(opcode, self.fetched_key(), extras)

    def store(self):
        extras = struct.pack(">II", self.random.choice((0, 0, 5, 2**32 - 1)), self.exptime())
        key = self.key()
        return self.made(self.random.choice(STORES[:2] * 2 + STORES), key, extras, self.value(key))

    def join(self):
        key = self.key()
        return self.made(self.random.choice(JOINS), key, b"", self.value(key))

    def delete(self):
        return self.made(self.random.choice((DELETE, DELETEQ)), self.key())

    def count(self):
        delta, initial = (self.random.choice((0, 1, 7, 10**9, *(BEYOND_SIGNED if self.full else ()))) for _ in range(2))
        exptime = self.random.choice((2**32 - 1, 0, self.exptime()))
        if not self.counts:
            return self.delete()
        key = self.random.choice(NUMBERS)
        return self.made(self.random.choice(COUNTS), key, struct.pack(">QQI", delta, initial, exptime))

    def touch(self):
        return self.made(TOUCH, self.fetched_key(), struct.pack(">I", self.exptime()))

    def other(self):
        """What is neither common nor the end."""
        kinds = (
            lambda: self.made(NOOP),
            lambda: self.made(VERSION),
            lambda: self.made(STAT, self.random.choice(REPORTS)),
            lambda: self.made(SASL_LIST),
            lambda: self.made(self.random.choice((SASL_AUTH, SASL_STEP)), b"PLAIN", b"", b"\0user\0password"),
            lambda: self.made(self.random.choice((SASL_AUTH, SASL_STEP)), b"PLAIN"),
            # Without a body: where there is one memcached loses its place.
            lambda: self.made(self.random.choice((VERBOSITY, 0x1F, *range(0x25, 0x48), 0xFF))),
        )
        return self.random.choice(kinds)()

    def flush(self):
        exptimes = (0, self.now - 90_000, 3000) if self.full else (0,)
        extras = self.random.choice((b"", *(struct.pack(">I", exptime) for exptime in exptimes)))
        return self.made(self.random.choice((FLUSH, FLUSHQ)), b"", extras)

    def closing(self):
        """What ends a connection: a quit, or a header that cannot be."""
        opcode = self.random.choice((*GETS, *STORES, *JOINS, *COUNTS, DELETE, TOUCH, FLUSH, NOOP, VERSION, QUIT, STAT))
        kinds = (
            lambda: self.made(self.random.choice((QUIT, QUITQ))),
            lambda: self.lying(opcode, keylen=5, extlen=3, bodylen=7),
            lambda: self.lying(opcode, keylen=251, bodylen=300),
            lambda: self.lying(opcode, keylen=2000, bodylen=100),
            lambda: self.lying(opcode, extlen=255, bodylen=10),
            lambda: self.lying(self.random.choice((GET, DELETE, SET, *COUNTS, TOUCH)), extlen=9, keylen=2, bodylen=300),
            lambda: self.lying(self.random.choice((GET, GETK, DELETE)), keylen=4, bodylen=9),
            lambda: self.lying(self.random.choice((NOOP, VERSION, QUIT, FLUSH, SASL_LIST)), bodylen=9),
            lambda: self.lying(self.random.choice((SET, APPENDQ, DELETE, GET, TOUCH, *COUNTS)), extlen=0, bodylen=0),
        )
        beyond = (
            lambda: self.lying(opcode, keylen=5, bodylen=2**32 - 1),
            lambda: self.lying(opcode, keylen=8, extlen=8, bodylen=2**31),
        )
        return self.random.choice(kinds + beyond if self.full else kinds)()

    def no_request(self):
        return self.lying(GET, magic=self.random.choice((0x81, 0, 0x67, 0xFF)))

    def lying(self, opcode, **says):
        said = {"keylen": 0, "extlen": 0, "bodylen": 0, **says}
        # As much as memcached waits for and no more: what it has not read when it closes may take its answers along.
        return self.made(opcode, lies=tuple(said.items()), value=bytes(said["keylen"] + said["extlen"]))
