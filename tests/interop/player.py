"""Plays sets, gets and look-aside loops against one server, a batch at a time.

Owns the bytes: keys are numbers behind a prefix, a value follows from its key's
number, so that every reply is compared whole with what it must be. A batch is
sent at once and its replies are read at once: this, not threads, makes Python
fast enough (half a million items a second and more). It judges nothing but what is
wrong: a value that is not its key's, a reply nobody asked for.
"""

import functools
import multiprocessing
import random
import time

FILL_BATCH_ITEMS, FILL_BATCH_BYTES = 1000, 512 << 10
# How far a get may be behind its set: a thousandth of the smallest memory that is played, or one item.
TURN_ITEMS, TURN_BYTES = 64, 16 << 10
OFFSETS = 4096
VALUE_BYTES_MAX = 1 << 20
# Lower-case letters: no line of the protocol can be found in a value.
LETTERS = bytes(random.Random(1).choices(b"abcdefghijklmnopqrstuvwxyz", k=OFFSETS + VALUE_BYTES_MAX))
STORED, MISS = b"STORED\r\n", b"END\r\n"
LOADS, LOAD_BATCH, LOAD_SECONDS_MAX = 2, 200, 120


class Sizes:
    """Values' sizes in bytes: one, or evenly from one to another, `50-499`."""

    def __init__(self, text):
        self.text = text
        least, _, most = text.partition("-")
        self.least, self.most = int(least), int(most or least)

    def of(self, number):
        """The size of that key's value: always the same."""
        if self.least == self.most:
            return self.least
        return self.least + number * 2_654_435_761 % (1 << 32) % (self.most - self.least + 1)

    def mean(self):
        return (self.least + self.most) // 2

    # Equal texts share what was made for one of them.
    def __eq__(self, other):
        return self.text == other.text

    def __hash__(self):
        return hash(self.text)


class Wrong(Exception):
    """The server said what no cache may say."""


class Player:
    """One connection, and one set of keys of a prefix."""

    def __init__(self, server):
        self.link = server.connect(60)
        self.lost, self.refused, self.stored = 0, 0, 0

    def close(self):
        self.link.close()

    def fill(self, prefix, sizes, count, exptime=0):
        """Stores keys 0 to `count`; returns how many were refused."""
        refused = 0
        for batch, request in fill_requests(prefix, sizes, count, exptime):
            self.link.sendall(request)
            refused += len(batch) - len(self._stored(batch))
        return refused

    def delete(self, prefix, count):
        for first in range(0, count, FILL_BATCH_ITEMS):
            batch = range(first, min(count, first + FILL_BATCH_ITEMS))
            self.link.sendall(b"".join([b"delete %b%d\r\n" % (prefix, number) for number in batch]))
            self._lines(len(batch))

    def flush(self):
        self.link.sendall(b"flush_all\r\n")
        if self._lines(1) != b"OK\r\n":
            raise Wrong("flush_all was not answered OK")

    def look_aside(self, prefix, sizes, numbers):
        """Reads each; stores what is missing and reads it again. Returns the hits of the first reads."""
        hits = 0
        for batch in batches(numbers, sizes, TURN_ITEMS, TURN_BYTES):
            missing = self.missing(prefix, sizes, batch)
            hits += len(batch) - len(missing)
            if missing:
                # A key that was drawn twice is stored once.
                stored = self.set(prefix, sizes, list(dict.fromkeys(missing)), 0)
                self.stored += len(stored)
                self.refused += len(set(missing)) - len(stored)
                self.lost += len(self.missing(prefix, sizes, stored))
        return hits

    def set(self, prefix, sizes, batch, exptime):
        """Stores a batch; returns the numbers that were not refused."""
        self.link.sendall(set_request(prefix, sizes, batch, exptime))
        return self._stored(batch)

    def _stored(self, batch):
        """Reads the replies to a batch of sets."""
        replies = self._lines(len(batch))
        if replies == STORED * len(batch):
            return batch
        lines = replies.splitlines(keepends=True)
        for line in lines:
            if line != STORED and not line.lower().startswith(b"server_error out of memory"):
                raise Wrong(f"a set was answered {line[:80]!r}")
        return [number for number, line in zip(batch, lines) if line == STORED]

    def missing(self, prefix, sizes, batch):
        """Reads a batch; returns the numbers that missed."""
        if not batch:
            return []
        self.link.sendall(b"".join([b"get %b%d\r\n" % (prefix, number) for number in batch]))
        hits = []
        for number in batch:
            size, at = sizes.of(number), number % OFFSETS
            hits.append(b"VALUE %b%d 0 %d\r\n%b\r\nEND\r\n" % (prefix, number, size, LETTERS[at:at + size]))
        replies = self._until_ends(len(batch))
        if replies == b"".join(hits):
            return []
        missing, at = [], 0
        for number, hit in zip(batch, hits):
            if replies.startswith(hit, at):
                at += len(hit)
            elif replies.startswith(MISS, at):
                at += len(MISS)
                missing.append(number)
            else:
                raise Wrong(f"a get of {prefix.decode()}{number} was answered {replies[at:at + 80]!r}")
        return missing

    def _lines(self, count):
        return self._until(b"\n", count)

    def _until_ends(self, count):
        return self._until(MISS, count)

    def _until(self, mark, count):
        """Reads until the mark has come so often."""
        pieces, tail = [], b""
        while count > 0:
            piece = self.link.recv(1 << 20)
            if not piece:
                raise Wrong("the server closed the connection")
            pieces.append(piece)
            # A mark may begin in one piece and end in the next.
            count -= (tail + piece).count(mark)
            tail = (tail + piece)[1 - len(mark):] if len(mark) > 1 else b""
        return b"".join(pieces)


def set_request(prefix, sizes, batch, exptime):
    parts = []
    for number in batch:
        size, at = sizes.of(number), number % OFFSETS
        parts.append(b"set %b%d 0 %d %d\r\n%b\r\n" % (prefix, number, exptime, size, LETTERS[at:at + size]))
    return b"".join(parts)


@functools.lru_cache(1)
def fill_requests(prefix, sizes, count, exptime):
    """Pairs of a batch's numbers and its bytes: made once for both servers, as making takes longer than storing."""
    return [(batch, set_request(prefix, sizes, batch, exptime))
            for batch in batches(range(count), sizes, FILL_BATCH_ITEMS, FILL_BATCH_BYTES)]


def batches(numbers, sizes, items_max, bytes_max):
    """The numbers in pieces of at most so many items and bytes, at least one item."""
    length = max(1, min(items_max, bytes_max // sizes.most))
    for first in range(0, len(numbers), length):
        yield numbers[first:first + length]


class Load:
    """Other clients, in a `with` block: processes that ask for what is not there as fast as they can."""

    def __init__(self, server):
        self.done = multiprocessing.Event()
        client = functools.partial(multiprocessing.Process, target=misses, args=(server, self.done), daemon=True)
        self.clients = [client() for _ in range(LOADS)]

    def __enter__(self):
        for client in self.clients:
            client.start()

    def __exit__(self, *_):
        self.done.set()
        for client in self.clients:
            client.join()


def misses(server, done):
    """Gets of absent keys until told to stop, at most so long."""
    request, reply = b"get absent\r\n" * LOAD_BATCH, len(MISS) * LOAD_BATCH
    end = time.monotonic() + LOAD_SECONDS_MAX
    with server.connect() as link:
        while not done.is_set() and time.monotonic() < end:
            link.sendall(request)
            left = reply
            while left > 0:
                piece = link.recv(left)
                if not piece:
                    return
                left -= len(piece)
