"""Makes random memcached commands from a seed, as frames.

A frame is a list of commands and the name of the difference it falls under, if
any. A plain frame must be answered the same by both servers; a frame with a
rule carries the replies that are right. Frames with a rule leave nothing behind
but the scratch key `~s`, which every one of them sets or deletes first.
"""

import random
import time
from dataclasses import dataclass, field

from differences import NAMES
from meta_commands import MetaCommands
from templates import Cas

KEY_BYTES_MAX = 250
ITEM_BYTES_MAX = 1 << 20
# Flagstone's chunks are as large as their number in a page allows; of the largest there are sixteen.
PAGE_BYTES = 256 << 10
CHUNKS_LEAST = 16
NUMBER_KEYS = [b"n%d" % i for i in range(8)]
TEXT_KEYS = [b"k%d" % i for i in range(16)]
ODD_KEYS = [
    b"\xff\xfe", b"a\tb", b"x\ry", b"caf\xc3\xa9", b'"', b"+1", b"0", b"END", b"STORED", b"get",
    b"\x01\x02\x7f", b"HTTP/1.1", b"l" * KEY_BYTES_MAX, b"m" * (KEY_BYTES_MAX - 1), b"\x80", b"%s%n",
]
LARGE_KEYS = [b"large0", b"large1"]
SMALL_KEYS = NUMBER_KEYS + TEXT_KEYS + ODD_KEYS
ALL_KEYS = SMALL_KEYS + LARGE_KEYS
SCRATCH = b"~s"
BAD_FORMAT = b"CLIENT_ERROR bad command line format\r\n"
BAD_EXPTIME = b"CLIENT_ERROR invalid exptime argument\r\n"
BAD_DELTA = b"CLIENT_ERROR invalid numeric delta argument\r\n"
BAD_OPAQUE = b"CLIENT_ERROR opaque token too long\r\n"
BAD_BASE64 = b"CLIENT_ERROR error decoding key\r\n"
ERROR = b"ERROR\r\n"

# Relative ones outlast any run, so that both servers agree without a shared clock.
EXPTIMES = [b"0", b"0", b"0", b"0", b"100000", b"2592000", b"-1", b"-100", b"1000000000", b"2592001", b"0100000"]
EXPTIMES_STORE = EXPTIMES + [b"2147483647", b"2147483648", b"4294967295", b"4294967296", b"+100000", b"-0"]
FLAGS = [b"0", b"0", b"0", b"5", b"65535", b"4294967295", b"4294967296", b"18446744073709551615", b"+7", b"007"]
DELTAS = [b"1", b"1", b"0", b"7", b"100", b"4294967296", b"007"]
BAD_DELTAS = [b"x", b"-1", b"1x", b"1.0", b"18446744073709551616", b"99999999999999999999999", b"0x1", b"\xff"]
BAD_EXPTIMES = [b"x", b"1x", b"1.5", b"0x1", b"--1", b"99999999999999999999999", b"e", b"\xff"]
BAD_BYTES = [b"x", b"-1", b"1x", b"2147483647", b"99999999999999999999999", b"1.0"]
UNKNOWN = [
    b"foo", b"foo bar", b"GET k1", b"Set k1 0 0 1", b"getx k1", b"get\tk1", b"gett", b"versionx", b"quitx now",
    b"flush_allx", b"\x81abc", b"\xff\xfe\xfd\xfc", b"noreply k1", b"foo HTTP", b"foo http/1.1", b"foo HTTP/1.1 x",
    b"stats foo", b"0 0 0 0", b"STORED", b"END\t", b"VALUE k 0 1",
]
# Words about memory and its queues that are refused before anything is looked at.
ADMIN_REFUSED = [
    b"lru_crawler", b"lru_crawler x", b"lru_crawler sleep x", b"lru_crawler sleep 1000001", b"lru_crawler tocrawl x",
    b"lru_crawler crawl", b"slabs", b"slabs x", b"slabs reassign 1", b"slabs reassign x y", b"slabs automove x",
    b"slabs automove 3", b"lru", b"lru x", b"lru mode x", b"lru tune 1", b"lru tune 90 90 1 1",
]
# All below 2^63: see the difference "huge-number".
NUMBERS = [
    b"0", b"9", b"10", b"99", b"100", b"0005", b"5 ", b" 5", b"99999999999999999", b"", b"18446744073709551616",
    b"+5", b"5x", b"x", b"1.0", b"-5", b" x ", b"\t1", b"1\r", b"1\n", b"5 6",
]


def unmarked(data):
    """The data without what looks like a version reply, and without what makes memcached's incr read stale memory.

    It reads on behind a value of blanks only.
    """
    data = data.replace(b"VERSION ", b"version ")
    return data if data.strip(b" \t\r\n\v\f") else b"x" * len(data)


@dataclass
class Frame:
    """Commands sent together, and what they may be answered by rule."""

    commands: list
    rule: str = None
    accepts: list = field(default_factory=list)

    def __post_init__(self):
        assert self.rule is None or self.rule in NAMES, self.rule


class Generator:
    """The stream of frames that a seed stands for."""

    def __init__(self, seed, full, only_counted=False):
        """`full`: the oracle knows all of 1.6.45. `only_counted`: commands that both servers count alike."""
        self.random = random.Random(seed)
        self.full, self.only_counted = full, only_counted
        self.numbers = NUMBER_KEYS
        # Keys of text that are counted with, too.
        self.odd = self.random.sample(TEXT_KEYS + ODD_KEYS, 8)
        self.meta = MetaCommands(self, full)
        self.past = b"%d" % (int(time.time()) - 100_000)
        self.kinds, self.weights = zip(*self._kinds())
        self.new_batch()
        self.ruled = [
            self.short_line, self.too_few_words, self.meta_accident, self.leading_space, self.extra_words,
            self.bad_field, self.bad_number, self.noreply_position, self.noreply_unknown, self.nul_key, self.huge_number,
        ]

    def new_batch(self):
        """Parts the keys: those counted with in this batch, and those fetched.

        memcached writes an incr in place only while no reply that is still to be
        sent holds the item, so the padding it leaves would depend on the kernel.
        """
        self.counted = self.random.sample(NUMBER_KEYS, 4) + self.random.sample(self.odd, 1)
        self.fetched = [key for key in SMALL_KEYS if key not in self.counted]

    def _kinds(self):
        yield from (
            (self.get, 260), (self.gat, 40), (self.store, 300), (self.cas, 70), (self.arithmetic, 120),
            (self.touch, 40), (self.delete, 50), (self.unknown, 20), (self.long_key, 15), (self.bad_bytes, 10),
            (self.bad_chunk, 15), (self.large, 0.3), (self.admin, 8), (self.wide_get, 3),
        )
        if not self.only_counted:
            yield self.flush, 3
            yield from self.meta.kinds()

    def batch(self, count, ruled=1 / 15):
        """`count` frames to be sent as one; the share `ruled` of them falls under a rule."""
        self.new_batch()
        if self.random.random() < 3 * ruled:
            yield self.bad_key_in_get()
        for _ in range(count):
            if self.random.random() < ruled:
                yield self.random.choice(self.ruled)()
            else:
                yield self.plain()

    def plain(self):
        """One to twelve commands that both servers must answer the same."""
        makers = self.random.choices(self.kinds, self.weights, k=self.random.randint(1, 12))
        return Frame([maker() for maker in makers])

    # Pieces of lines.

    def key(self):
        if self.random.random() < 0.003:
            return self.random.choice(LARGE_KEYS)
        return self.random.choice(SMALL_KEYS)

    def keys(self, count):
        gap = self.random.choice([b" ", b" ", b" ", b"  "])
        return gap.join(self.random.choice(self.fetched) for _ in range(count))

    def end(self):
        return self.random.choices([b"\r\n", b"\n", b" \r\n", b"  \n"], [90, 5, 4, 1])[0]

    def noreply(self):
        return self.random.choices([b"", b" noreply"], [5, 1])[0]

    def exptime(self, among=tuple(EXPTIMES)):
        return self.random.choice((*among, self.past))

    def value(self, key):
        if key in NUMBER_KEYS and self.random.random() < 0.8:
            return self.random.choice(NUMBERS)
        size = self.random.choices(
            [0, self.random.randrange(1, 100), self.random.randrange(100, 5000)], [1, 20, 3])[0]
        if not self.is_counted(key) and self.random.random() < 0.06:
            return self.chunkful(key)
        if key in LARGE_KEYS:
            size = self.random.choice([20_000, 100_000, 300_000, 600_000, 1_000_000])
        return self.data(size)

    def is_counted(self, key):
        """Whether it may hold a number: then nothing as long as a chunk, which memcached would take for one."""
        return key in NUMBER_KEYS or key in self.odd

    def chunkful(self, key):
        """A value whose item about fills a chunk: an exptime or a mark more, and it does not fit."""
        chunks = CHUNKS_LEAST if self.random.random() < 0.3 else self.random.randint(CHUNKS_LEAST, 2000)
        size = PAGE_BYTES // chunks - len(key) + self.random.randint(-40, 0)
        return self.data(max(size, 0))

    def piece(self, key):
        """What is put at an end of a value; it makes no number longer than it could be stored."""
        return self.random.choice([b"9 ", b"x", b""]) if self.is_counted(key) else self.value(key)

    def data(self, size):
        """Random bytes, line ends among them."""
        if size > 5000 or self.random.random() < 0.5:
            return (b"%08x\r\n" % self.random.getrandbits(32) * (size // 10 + 1))[:size]
        return unmarked(self.random.randbytes(size))

    # Plain commands.

    def get(self):
        verb = self.random.choice([b"get", b"get", b"gets"])
        count = self.random.choices([1, self.random.randint(2, 10), self.random.randint(10, 80)], [12, 6, 1])[0]
        if count == 1:
            key = self.random.choice(LARGE_KEYS if self.random.random() < 0.003 else self.fetched)
            return verb + b" " + key + self.end()
        return verb + b" " + self.keys(count) + self.end()

    def wide_get(self):
        """A line far beyond 2 KiB, mostly of misses."""
        verb = self.random.choice([b"get ", b"gets "])
        misses = b" ".join(b"miss%d" % i for i in range(self.random.randint(300, 2000)))
        return verb + misses + b" " + self.keys(3) + self.end()

    def gat(self):
        verb = self.random.choice([b"gat ", b"gats "])
        exptime = self.exptime() if self.random.random() < 0.9 else self.random.choice(BAD_EXPTIMES)
        return verb + exptime + b" " + self.keys(self.random.randint(1, 5)) + self.end()

    def store(self):
        verb = self.random.choices([b"set", b"add", b"replace", b"append", b"prepend"], [10, 3, 3, 3, 2])[0]
        key = self.key()
        value = self.piece(key) if verb in (b"append", b"prepend") else self.value(key)
        return self.stored(verb, key, value)

    def stored(self, verb, key, value):
        flags, exptime = self.random.choice(FLAGS), self.exptime(EXPTIMES_STORE)
        head = b" ".join((verb, key, flags, exptime, b"%d" % len(value)))
        return head + self.noreply() + self.end() + value + b"\r\n"

    def cas(self):
        key, flags, exptime = self.key(), self.random.choice(FLAGS), self.exptime(EXPTIMES_STORE)
        value = self.value(key)
        head = b"cas %s %s %s %d " % (key, flags, exptime, len(value))
        tail = self.noreply() + self.end() + value + b"\r\n"
        if self.random.random() < 0.2:
            return head + self.random.choice([b"0", b"18446744073709551615"]) + tail
        return Cas(head, key, tail)

    def arithmetic(self):
        verb = self.random.choice([b"incr ", b"decr "])
        # Rule chunked-number: large values are left alone.
        key = self.random.choice(self.counted)
        delta = self.random.choice(DELTAS if self.random.random() < 0.9 else BAD_DELTAS)
        return verb + key + b" " + delta + self.noreply() + self.end()

    def touch(self):
        exptime = self.exptime() if self.random.random() < 0.9 else self.random.choice(BAD_EXPTIMES)
        return b"touch " + self.key() + b" " + exptime + self.noreply() + self.end()

    def delete(self):
        zero = self.random.choices([b"", b" 0"], [4, 1])[0]
        return b"delete " + self.key() + zero + self.noreply() + self.end()

    def flush(self):
        return b"flush_all" + self.random.choice([b"", b" 0", b" -1", b" x", b" 1x"]) + self.noreply() + self.end()

    def admin(self):
        if self.random.random() < 0.7:
            return b"verbosity " + self.random.choice([b"0", b"1", b"x", b"-1"]) + self.noreply() + self.end()
        # Replies that tell the same wherever the server stands.
        lines = [b"cache_memlimit 7", b"cache_memlimit 0", b"cache_memlimit x", b"cache_memlimit", b"cache_memlimit 2000000000"]
        lines += ADMIN_REFUSED
        if self.full:
            lines += [b"shutdown", b"shutdown graceful", b"shutdown x", b"cache_memlimit 1x", b"cache_memlimit -1", b"slabs automove window 2"]
        return self.random.choice(lines) + self.end()

    def unknown(self):
        return self.random.choice(UNKNOWN) + self.end()

    def long_key(self):
        key = b"K" * self.random.choice([251, 252, 300, 1000])
        line = self.random.choice([b"delete %s", b"touch %s 0", b"incr %s 1", b"decr %s 1", b"touch %s x"])
        return line % key + self.noreply() + self.end()

    def bad_bytes(self):
        """Bytes that cannot be read: the data is read as a command."""
        verb = self.random.choice([b"set", b"add", b"append", b"cas"])
        unique = b" 1" if verb == b"cas" else b""
        line = b"%s %s 0 0 %s%s\r\n" % (verb, self.key(), self.random.choice(BAD_BYTES), unique)
        return line + self.random.choice([b"", b"datablock\r\n"])

    def bad_chunk(self):
        """Data longer or shorter than announced; what is left over is an unknown command of 4 bytes or more."""
        verb = self.random.choice([b"set", b"add", b"replace", b"append", b"prepend"])
        announced = self.random.randint(0, 40)
        if self.random.random() < 0.5:
            data = b"d" * (announced + self.random.randint(5, 30)) + b"\r\n"
        else:
            data = b"d" * self.random.randint(0, announced)
            data += b"\r\n" if self.random.random() < 0.7 else b"\n"
            if len(data) == announced + 2 and data.endswith(b"\r\n"):
                data = b"d" * announced + b"x\n"
            data += b"d" * (announced + 2 - len(data)) + b"dddddd\r\n"
        return b"%s %s 0 0 %d" % (verb, self.key(), announced) + self.noreply() + b"\r\n" + data

    def large(self):
        """Too large for the cache; whatever ends the data, exactly its length is swallowed."""
        size = ITEM_BYTES_MAX + self.random.randint(0, 2000)
        verb = self.random.choice([b"set", b"set", b"add", b"replace", b"append"])
        line = b"%s %s 0 0 %d" % (verb, self.key(), size) + self.noreply() + b"\r\n"
        return line + b"x" * size + self.random.choice([b"\r\n", b"zz"])

    # Frames that fall under a difference.

    def bad_key_in_get(self):
        """First in a batch: memcached drops the replies still queued for the commands before it."""
        good = self.data(self.random.randint(0, 30))
        sets = b"set ~s 3 0 %d noreply\r\n%s\r\n" % (len(good), good)
        verb, words = self.random.choice([(b"get", []), (b"gat", [b"0"])])
        before = [self.random.choice([SCRATCH, b"~missing"]) for _ in range(self.random.randint(0, 5))]
        after = [b"~s"] * self.random.randint(0, 2)
        long = b"K" * self.random.choice([251, 300, 1000])
        line = b" ".join([verb, *words, *before, long, *after]) + self.end()
        hit = b"VALUE ~s 3 %d\r\n%s\r\n" % (len(good), good)
        return Frame([sets, line], "bad-key-in-get", [hit * before.count(SCRATCH) + BAD_FORMAT])

    def short_line(self):
        line = self.random.choice([b"\r\n", b"\n", b"a\r\n", b"ab\n", b" \r\n", b"\r\r\n", b"\xff\r\n"])
        return Frame([line], "too-few-words", [BAD_FORMAT])

    def too_few_words(self):
        line = self.random.choice([
            b"get", b"gets", b"gat", b"gats", b"gat 0", b"gats 0", b"gat k1", b"set", b"set k1", b"set k1 0 0",
            b"add k1 0", b"cas k1 0 0", b"append", b"prepend k1", b"replace k1 0 0", b"delete", b"touch", b"touch k1", b"incr",
            b"incr n1", b"decr n1", b"decr", b"verbosity",
        ])
        return Frame([line + self.end()], "too-few-words", [BAD_FORMAT])

    def leading_space(self):
        line = self.random.choice([b"get ~s", b"delete ~s", b"touch ~s 0", b"incr ~s 1"])
        line = b" " * self.random.randint(1, 20) + line + self.end()
        if self.random.random() < 0.3:
            block = b"  set ~s 0 0 9\r\ndatablock\r\n"
            return Frame([block, b"delete ~s noreply\r\n"], "leading-space", [ERROR * 2])
        return Frame([b"delete ~s noreply\r\n", line], "leading-space", [ERROR])

    def extra_words(self):
        words = b" ".join(self.random.choices([b"a", b"0", b"foo", b"noreplyx"], k=self.random.randint(3, 8)))
        line, reply = self.random.choice([
            (b"delete ~s", b"DELETED\r\n"), (b"touch ~s 0", b"TOUCHED\r\n"), (b"incr ~s 1", b"6\r\n"),
            (b"set ~s 0 0 1", b"STORED\r\n"), (b"cas ~s 0 0 1 0", b"EXISTS\r\n"), (b"verbosity 0", b"OK\r\n"),
        ])
        if self.random.random() < 0.3:
            words, reply = words + b" noreply", b""
        data = b"7\r\n" if line[:3] in (b"set", b"cas") else b""
        start = b"set ~s 0 0 1 noreply\r\n5\r\n"
        command = line + b" " + words + self.end() + data
        return Frame([start, command, b"delete ~s noreply\r\n"], "extra-words", [reply])

    def bad_field(self):
        """One bad field in a storage line whose length can be read."""
        verb = self.random.choice([b"set", b"add", b"replace", b"append", b"prepend", b"cas"])
        words = [verb, b"~missing", b"0", b"0", b"4"] + ([b"1"] if verb == b"cas" else [])
        spot = self.random.choice([1, 2, 3] + ([5] if verb == b"cas" else []))
        bad = {
            1: [b"K" * 251, b"K" * 600],
            2: [b"x", b"-1", b"18446744073709551616", b"5x", b"0x5", b"5.", b"\xff"],
            3: [b"x", b"1.5", b"9223372036854775808", b"-x", b"0x10"],
            5: [b"x", b"-1", b"18446744073709551616", b"1x"],
        }
        words[spot] = self.random.choice(bad[spot])
        noreply = self.noreply()
        data = b"junkjunk\r\n" * self.random.choice([1, 1, 2, 40])
        words[4] = b"%d" % (len(data) - 2)
        reply = b"" if noreply else BAD_FORMAT
        command = b" ".join(words) + noreply + b"\r\n" + data
        return Frame([command], "bad-field-swallows-data", [reply])

    def bad_number(self):
        number = self.random.choice([b"+1", b"1\t", b"\t1", b"1\r"])
        wide = self.random.choice([b"2147483648", b"4294967296", b"-2147483649", b"9223372036854775807"])
        line, reply = self.random.choice([
            (b"incr ~s " + number, BAD_DELTA), (b"touch ~s " + number, BAD_EXPTIME), (b"gat " + number + b" ~s", BAD_EXPTIME),
            (b"touch ~s " + wide, BAD_EXPTIME), (b"gat " + wide + b" ~s", BAD_EXPTIME), (b"set ~s 0 0 +1", BAD_FORMAT),
            (b"cas ~s 0 0 4 +1", BAD_FORMAT), (b"set ~s 0 0 4294967300", BAD_FORMAT),
        ])
        data = b""
        if line.startswith(b"set"):
            data, reply = b"junk\r\n", reply + ERROR
        if line.startswith(b"cas"):
            data = b"junk\r\n"
        start = b"set ~s 0 0 1 noreply\r\n5\r\n"
        return Frame([start, line + b" \r\n" + data, b"delete ~s noreply\r\n"], "number-grammar", [reply])

    def noreply_position(self):
        line, reply = self.random.choice([
            (b"set ~s 0 0 noreply\r\n", BAD_FORMAT), (b"set ~s 0 0 x noreply\r\n", BAD_FORMAT),
            (b"set ~s 0 0 -1 noreply\r\n", BAD_FORMAT), (b"delete noreply\r\n", b""), (b"cas ~s 0 0 4 noreply\r\njunk\r\n", b""),
            (b"incr ~s 1 noreply x\r\n", b"6\r\n"), (b"delete ~s noreply x\r\n", b"DELETED\r\n"),
            (b"set ~s 0 0 1 noreply x\r\n5\r\n", b"STORED\r\n"), (b"touch ~s 0 x noreply\r\n", b""),
        ])
        start = b"set ~s 0 0 1 noreply\r\n5\r\n"
        return Frame([start, line, b"delete ~s noreply\r\n"], "noreply-position", [reply])

    def noreply_unknown(self):
        line = self.random.choice([b"foo noreply", b"noreply", b"foo bar noreply", b"GET k1 noreply"])
        return Frame([line + self.end()], "noreply-unknown", [b"", ERROR])

    def meta_accident(self):
        """What memcached 1.6.45 does by accident or not at all, held to what is right."""
        start = b"set ~s 0 0 2 noreply\r\n10\r\n"
        line, reply = self.random.choice([
            (b"mg ~s T-1 t\r\n", b"HD t0\r\n"), (b"mg ~s v O" + b"x" * 32 + b"\r\n", BAD_OPAQUE),
            (b"ma ~s T100 D990 v q k\r\nmg ~s t\r\n", b"HD t100\r\n"), (b"mg Zm9v\x01 b\r\n", BAD_BASE64),
            (b"ms fnM= 3 b MA q\r\nabc\r\nmg ~s k v\r\n", b"VA 5 k~s\r\n10abc\r\n"),
            (b"ms fnM= 2 b q\r\nab\r\nms ~s 1 MA q\r\nc\r\nmg ~s k v\r\n", b"VA 3 kfnM= b\r\nabc\r\n"),
        ])
        return Frame([start, line, b"delete ~s noreply\r\n"], "meta-accidents", [reply])

    def nul_key(self):
        key = self.random.choice([b"~\0", b"~\0s", b"\0\0"])
        value = self.data(5)
        commands = [b"set %s 1 0 5\r\n%s\r\n" % (key, value), b"get %s\r\n" % key, b"delete %s\r\n" % key]
        reply = b"STORED\r\nVALUE %s 1 5\r\n%s\r\nEND\r\nDELETED\r\n" % (key, value)
        return Frame(commands, "nul-in-line", [reply])

    def huge_number(self):
        verb, stored, delta, result = self.random.choice([
            (b"incr", (1 << 64) - 1, 1, 0), (b"incr", (1 << 64) - 1, 8, 7), (b"decr", (1 << 64) - 1, 1, (1 << 64) - 2),
            (b"incr", 1 << 63, 1 << 63, 0), (b"decr", 1 << 63, 1 << 63, 0), (b"incr", (1 << 63) - 1, 1, 1 << 63),
            (b"incr", 9_999_999_999_999_999_999, 1, 10**19), (b"incr", 5, (1 << 64) - 1, 4), (b"decr", 5, (1 << 64) - 1, 0),
        ])
        stored = b"%d" % stored
        commands = [b"set ~s 0 0 %d\r\n%s\r\n" % (len(stored), stored), b"%s ~s %d\r\n" % (verb, delta), b"get ~s\r\n"]
        result = b"%d" % result
        shown = result.ljust(len(stored))
        reply = b"STORED\r\n%s\r\nVALUE ~s 0 %d\r\n%s\r\nEND\r\n" % (result, len(shown), shown)
        return Frame(commands, "huge-number", [reply])

    def closing(self):
        """What ends a connection from the server's side; sent when all replies are in."""
        return self.random.choice([
            b"quit\r\n", b"quit\n", b"quit now\r\n", b"get k1\r\nquit\r\nget k2\r\n", b"foo HTTP/1.1\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"a" * 3000, b"delete " + b"k " * 1500, b"set k1 0 0 " + b"1" * 3000,
        ])
