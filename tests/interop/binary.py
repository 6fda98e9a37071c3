"""Flagstone and memcached answer the same streams of the binary protocol alike.

Seeded random packets go to both servers, pipelined deep and cut at random places
into separate sends; each frame ends with a noop, whose answer ends the frame's.
Answers are compared packet by packet and field by field: only cas uniques are
each server's own, and what is compared of them is which are the same. Lists of
figures are compared by their names where these are the same with both. What ends
a connection is the last of its frames: both servers answer alike and close. The first
difference ends the run: it is shrunk to the few requests it takes, on servers of their own.
"""

import argparse
import random
import sys
import time
from dataclasses import replace

from binary_commands import KEYS, NUMBERS, BinaryCommands
from differences import FULL
from differential import OPTIONS, REFERENCE_OPTIONS, exchange, release
from packets import GET, NOOP, STAT, VERSION, Request, Versions, answers
from servers import REFERENCE, DatagramServer, Server, flagstone_binary
from sides import REQUEST_BYTES_MAX, DatagramSide, Side

END_OPAQUE = 0xFFFFFFFE
LINKS = 3
HISTORY_MAX = 20_000
SHRINK_SECONDS_MAX = 40
REQUESTS_A_DATAGRAM_MAX = 15
# The kernel drops what comes beyond some 270.
DATAGRAMS_AT_ONCE_MAX = 100
# How much of a run by UDP has requests upon which a connection would be closed.
CLOSING_SHARE = 0.1
SHOWN_MAX = 12
COUNTERS_EXACT = (
    "cmd_get cmd_set cmd_touch get_hits get_misses delete_hits delete_misses incr_hits incr_misses decr_hits "
    "decr_misses cas_hits cas_misses cas_badval touch_hits touch_misses curr_items total_items"
).split()


class BinarySide(Side):
    """One server's half of the comparison."""

    def __init__(self, server):
        super().__init__(server)
        self.versions = Versions()

    def start_frame(self, requests, cuts):
        self.start([request.bytes_for(self.versions) for request in requests], cuts)
        self.answers, self.seen = [], 0

    def done(self, _marks):
        found, rest = answers(bytes(self.reply[self.seen :]), self.versions)
        self.answers += found
        self.seen = len(self.reply) - len(rest)
        return self.closed or bool(self.answers) and self.answers[-1].opaque == END_OPAQUE


class BinaryDatagramSide(BinarySide, DatagramSide):
    """The same by UDP: several requests a datagram, and one once a request came upon which memcached would close.

    It looks no further than its first answer into a datagram from then on.
    """

    is_closing = False

    def datagrams(self, parts, cuts):
        at = 0
        while at < len(parts):
            end = at + 1 if self.is_closing else min(at + cuts.randint(1, REQUESTS_A_DATAGRAM_MAX), len(parts))
            while sum(map(len, parts[at:end])) > REQUEST_BYTES_MAX:
                end -= 1
            yield 0, b"".join(parts[at:end])
            at = end

    def takes(self, request):
        return super().takes_bytes(len(request.bytes_for(self.versions)))


class BinaryComparison:
    """A run over both servers: what was sent, what differed."""

    def __init__(self, sides, seed=0):
        self.is_stream = sides[0].is_stream
        self.sides, self.cuts = sides, random.Random(seed + 1)
        self.sent, self.connections, self.mismatches = 0, 0, 0
        self.history = []

    def agree(self, requests, link=0, closes=False):
        """Sends a frame to both sides and compares what they answer."""
        end = [] if closes and self.is_stream else [Request(NOOP, opaque=END_OPAQUE)]
        if not self.is_stream:
            for side in self.sides:
                side.is_closing |= closes
            requests = [request for request in requests if all(side.takes(request) for side in self.sides)]
            if self.sides[0].is_closing:
                requests = requests[-DATAGRAMS_AT_ONCE_MAX:]
            closes = False
        for side in self.sides:
            side.open(link)
            side.start_frame([*requests, *end], self.cuts)
        exchange(self.sides, 0)
        self.sent += len(requests)
        self.history = (self.history + requests)[-HISTORY_MAX:]
        mine, theirs = ([comparable(answer) for answer in side.answers] for side in self.sides)
        self.answered = mine, theirs, [side.closed for side in self.sides]
        return mine == theirs and self.answered[2] == [closes, closes]

    def restart(self):
        self.connections += 1
        for side in self.sides:
            side.close()

    def report(self):
        self.mismatches += 1
        mine, theirs, closed = self.answered
        least = shrunk(self.history, lambda some: differs(self.sides, some))
        if least:
            mine, theirs, closed = difference(self.sides, least)
        print(f"MISMATCH {self.mismatches}, closed {closed}{'' if least else ': it does not come back; as it came'}")
        for request in (least or self.history)[-SHOWN_MAX:]:
            print(f"  sent      {shown(request)}")
        at = next((at for at, pair in enumerate(zip(mine, theirs)) if pair[0] != pair[1]), min(len(mine), len(theirs)))
        for name, replies in (("flagstone", mine), ("memcached", theirs)):
            print(f"  {name} {[shown(reply) for reply in replies[at : at + 3]]}")
        sys.stdout.flush()
        self.restart()


def comparable(answer):
    """An answer without what is a server's own: its release and figures."""
    if answer.opcode == VERSION:
        return replace(answer, value=b"")
    return replace(answer, value=b"") if answer.opcode == STAT and answer.status == 0 else answer


def shown(packet):
    text = repr(packet)
    return text if len(text) < 400 else text[:300] + " ... " + text[-60:]


def difference(sides, requests):
    """What new servers, started as those of `sides`, answer to requests that go one by one."""
    with sides[0].server.again() as ours, sides[1].server.again() as theirs:
        trial = BinaryComparison([type(sides[0])(ours), type(sides[1])(theirs)])
        for request in requests:
            if not trial.agree([request]):
                break
        trial.restart()
        return trial.answered


def differs(sides, requests):
    mine, theirs, closed = difference(sides, requests)
    return mine != theirs or closed[0] != closed[1]


def shrunk(requests, tells):
    """The fewest requests found that still differ; None when not even all do, one by one."""
    deadline = time.monotonic() + SHRINK_SECONDS_MAX
    sizes = (16, 64, 256, 1024, 4096, len(requests))
    kept = next((requests[-size:] for size in sizes if tells(requests[-size:])), None)
    if kept is None:
        return None
    same = [request for request in kept if request.key == kept[-1].key or not request.key]
    kept = same if tells(same) else kept
    size = max(len(kept) // 2, 1)
    while time.monotonic() < deadline:
        for at in range(0, len(kept), size):
            without = kept[:at] + kept[at + size :]
            if without and tells(without):
                kept = without
                break
        else:
            if size == 1:
                break
            size //= 2
    return kept


def counters(sides):
    return [{name: int(stats[name]) for name in COUNTERS_EXACT} for stats in (side.server.stats() for side in sides)]


def compare_counters(comparison, generator):
    """The exact counters move alike, packet by packet: where a value waits to be sent memcached counts a new item."""
    before = counters(comparison.sides)
    for _ in range(2000):
        if not comparison.agree(generator.frame(1)):
            return comparison.report()
    # What has expired or was flushed is there until it is asked for.
    comparison.agree([generator.made(GET, key) for key in (*KEYS, *NUMBERS)])
    after = counters(comparison.sides)
    moved = [{name: a[name] - b[name] for name in COUNTERS_EXACT} for a, b in zip(after, before)]
    for name in COUNTERS_EXACT:
        if moved[0][name] != moved[1][name]:
            comparison.mismatches += 1
            print(f"COUNTER {name} differs: {moved[0][name]} and {moved[1][name]}")


def compare_streams(comparison, generator, count):
    cuts = comparison.cuts
    while comparison.sent < count and not comparison.mismatches:
        for _ in range(cuts.randint(1, 8)):
            if not comparison.agree(generator.frame(cuts.choice([1, 5, 30, 400])), cuts.randrange(LINKS)):
                return comparison.report()
        if not comparison.is_stream and comparison.sent < count * (1 - CLOSING_SHARE):
            comparison.restart()
            continue
        link, before = cuts.randrange(LINKS), generator.frame(5)
        # Where no request begins memcached closes at once, whatever waits to be sent.
        is_request = cuts.random() < 0.9
        last = [*before, generator.closing()] if is_request else [generator.no_request()]
        if not (is_request or comparison.agree(before, link)) or not comparison.agree(last, link, closes=True):
            return comparison.report()
        comparison.restart()


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments.add_argument("--commands", type=int, default=300_000)
    arguments.add_argument("--reference", default=REFERENCE, help="the memcached to compare with")
    arguments.add_argument("--udp", action="store_true", help="requests go by UDP")
    options = arguments.parse_args()
    began = time.monotonic()
    print(f"binary: seed {options.seed}, {options.commands} commands{' by UDP' * options.udp}", flush=True)
    kind, side = (DatagramServer, BinaryDatagramSide) if options.udp else (Server, BinarySide)
    with kind(flagstone_binary(), *OPTIONS) as ours, kind(options.reference, *REFERENCE_OPTIONS) as theirs:
        comparison = BinaryComparison([side(ours), side(theirs)], options.seed)
        print(f"  versions {ours.version()} and {theirs.version()}")
        full = release(theirs) >= FULL
        compare_counters(comparison, BinaryCommands(options.seed + 2, full))
        comparison.restart()
        compare_streams(comparison, BinaryCommands(options.seed, full), options.commands)
        alive = ours.alive() and theirs.alive()
    print(f"  {comparison.sent} commands on {comparison.connections} connections in {time.monotonic() - began:.0f} s, "
          f"{comparison.mismatches} mismatches{'' if alive else ', A SERVER DIED'}")
    failed = comparison.mismatches or not alive
    print("FAIL binary: the servers answer differently" if failed else "ok binary: same answers, same counters")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
