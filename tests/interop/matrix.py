"""The workload matrix: memory full of values of one size, then a key set of another, beside memcached.

A cell is: values of one size fill the memory; then they stay, are flushed, expire or
are deleted; then a look-aside loop runs over a key set of another size that fits,
with or without other clients that keep both cores busy. What must hold:

- ratio: the loop hits at least .95 as often as with memcached, measured in the same run;
- lost: a value just stored is there for the get right after;
- free: while a third of -m is free, which is in every cell but those whose first values
  stay, nothing is evicted, refused or gone.

    matrix.py                      the named cells, then cells drawn by a seed, for some minutes
    matrix.py --seed N             draws the same again (also: SEED=N)
    matrix.py --all                every cell: some hours
    matrix.py --all --first 50,500 --second 40000 --memory 64 --clear stay,flush --strict no --load yes
    matrix.py --cell "50-499 40000 64 stay load"       one cell, as a failing one prints itself
    FLAGSTONE=/usr/bin/memcached   compares memcached with itself, without the last rule, which it does not keep

Both servers run with their own default options: the largest value, 1,000,000 B, is
below the default -I. With -M "stay" fills two fifths of the memory, as no more may be
replaced, and the last rule holds. The word "slow" gives page movers time: seconds before
the loop and in it. REFERENCE names another memcached to compare with: newer ones move
more. The drawn cells are begun within some minutes; a cell takes 1 to 20 s.
"""

import argparse
import contextlib
import itertools
import math
import os
import random
import sys
import time

from player import Load, Player, Sizes, Wrong
from servers import REFERENCE, Server, flagstone_binary

SIZES = ("50", "500", "5000", "10000", "20000", "40000", "100000", "500000", "1000000")
CLEARS = ("stay", "flush", "expire", "delete")
MEMORIES = (16, 64, 256)
# What was seen to go wrong, in the words of --cell.
NAMED = (
    "50-499 40000 64 stay",
    "50-499 40000 64 stay slow",
    "50-499 40000 64 stay load",
    "50-499 17000 64 stay",
    "11000 4096 60 flush",
    "11000 4096 60 flush slow",
    "11000 4096 64 flush load",
    "11000 4096 64 expire",
    "10000 100 64 flush",
    "10000 100 64 flush -M",
    "20000 5000 64 flush -M",
)
SAMPLE_SECONDS = 200
RATIO_MIN = 0.95
MIB = 1 << 20
# What a key and its bookkeeping take beside the value, generously.
ITEM_BYTES = 60
FILL_SHARE = 1.2
STRICT_STAY_SHARE = 0.4
KEYS_SHARE, KEYS_SHARE_BESIDE = 0.6, 0.25
# More would tell no more, and take long.
KEYS_MAX = 60_000
READS_MIN, READS_MAX = 200, 60_000
SLOW_FIRST_SECONDS, SLOW_RESTS, SLOW_REST_SECONDS = 2, 10, 0.5


class Cell:
    """What one cell plays."""

    def __init__(self, first, second, memory, clear, strict=False, load=False, slow=False):
        self.first, self.second = Sizes(first), Sizes(second)
        self.memory, self.clear = int(memory), clear
        self.strict, self.load, self.slow = strict, load, slow

    @classmethod
    def parse(cls, text):
        first, second, memory, clear, *rest = text.split()
        if clear not in CLEARS or set(rest) - {"-M", "load", "slow"}:
            raise SystemExit(f"no cell: {text}")
        return cls(first, second, memory, clear, "-M" in rest, "load" in rest, "slow" in rest)

    def __str__(self):
        words = [self.first.text, self.second.text, str(self.memory), self.clear]
        return " ".join(words + ["-M"] * self.strict + ["load"] * self.load + ["slow"] * self.slow)

    def is_free(self):
        """Whether a third of the memory is free during the loop."""
        return self.clear != "stay" or self.strict

    def fill_count(self):
        share = STRICT_STAY_SHARE if self.strict and self.clear == "stay" else FILL_SHARE
        return max(1, int(share * self.memory * MIB) // (self.first.mean() + ITEM_BYTES))

    def keys(self):
        share = KEYS_SHARE_BESIDE if self.clear == "stay" else KEYS_SHARE
        return max(1, min(KEYS_MAX, int(share * self.memory * MIB) // (self.second.mean() + ITEM_BYTES)))

    def exptime(self):
        """Seconds that the first values live: enough to fill the memory."""
        return 2 + self.memory // 64 if self.clear == "expire" else 0


class Side:
    """One server's part of a cell, in two steps, so that both servers' values expire meanwhile."""

    def __init__(self, cell, binary):
        self.cell = cell
        self.server = Server(binary, "-m", cell.memory, *["-M"] * cell.strict)

    def begin(self, stack):
        stack.enter_context(self.server)
        self.player = stack.enter_context(contextlib.closing(Player(self.server)))
        self.player.fill(b"f", self.cell.first, self.cell.fill_count(), self.cell.exptime())
        self.expired_at = time.monotonic() + self.cell.exptime() + 1.1

    def end(self, seed):
        """Clears, then runs the loop: its figures."""
        cell, player = self.cell, self.player
        with Load(self.server) if cell.load else contextlib.nullcontext():
            if cell.clear == "flush":
                player.flush()
            elif cell.clear == "delete":
                player.delete(b"f", cell.fill_count())
            elif cell.clear == "expire":
                time.sleep(max(0, self.expired_at - time.monotonic()))
            if cell.slow:
                time.sleep(SLOW_FIRST_SECONDS)
            before = self.evictions()
            keys = cell.keys()
            # The first round stores them all and does not count.
            player.look_aside(b"n", cell.second, range(keys))
            count = max(READS_MIN, min(READS_MAX, 3 * keys))
            reads = random.Random(seed).choices(range(keys), k=count)
            self.hits = sum(player.look_aside(b"n", cell.second, piece) for piece in self.pieces(reads))
            self.reads, self.evicted = count, self.evictions() - before

    def pieces(self, reads):
        """All at once, or with rests in between: memcached moves a page a second."""
        if not self.cell.slow:
            return [reads]
        return map(rested, (reads[number::SLOW_RESTS] for number in range(SLOW_RESTS)))

    def evictions(self):
        return int(self.server.stats()["evictions"])

    def __str__(self):
        player = self.player
        found = f"{self.hits / self.reads:.3f} of {self.reads} hit, {player.lost} lost"
        return f"{found}, {player.refused} refused, {self.evicted} evicted"


def rested(piece):
    time.sleep(SLOW_REST_SECONDS)
    return piece


def faults(cell, ours, theirs, asks_free):
    """The rules that did not hold."""
    # Of few hits some are luck: two standard deviations of memcached's, and two more.
    luck = 2 + 2 * math.sqrt(theirs.hits * (1 - theirs.hits / theirs.reads))
    if ours.hits < RATIO_MIN * theirs.hits - luck:
        yield "ratio"
    if ours.player.lost:
        yield "lost"
    if asks_free and cell.is_free() and (ours.evicted or ours.player.refused or ours.hits < ours.reads):
        yield "free"


def play(cell, seed, verbose):
    """Plays a cell with both servers; prints its line and returns whether it passed."""
    ours, theirs = Side(cell, flagstone_binary()), Side(cell, REFERENCE)
    with contextlib.ExitStack() as stack:
        try:
            if cell.clear == "expire":
                # Both wait at once.
                theirs.begin(stack)
                ours.begin(stack)
                ours.end(seed)
                theirs.end(seed)
            else:
                for side in ours, theirs:
                    side.begin(stack)
                    side.end(seed)
            found = list(faults(cell, ours, theirs, "committed_bytes" in ours.server.stats()))
        except (Wrong, OSError, RuntimeError) as reason:
            print(f"FAIL {cell}: {reason!r}{ours.server.death() if ours.server.process else ''}", flush=True)
            return False
    figures = f"{cell.keys()} keys; {ours}; memcached {theirs}"
    if found:
        print(f"FAIL {cell}: {' '.join(found)}: {figures}", flush=True)
    else:
        print(f"ok {cell}{': ' + figures if verbose else ''}", flush=True)
    return not found


def all_cells(options):
    """Every cell that the filters let through."""
    words = lambda text, every: text.split(",") if text else every
    return [
        Cell(first, second, memory, clear, strict == "yes", load == "yes")
        for memory, clear, strict, load, first, second in itertools.product(
            words(options.memory, MEMORIES), words(options.clear, CLEARS), words(options.strict, ("no", "yes")),
            words(options.load, ("no", "yes")), words(options.first, SIZES), words(options.second, SIZES))
        if first != second
    ]


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--seed", type=int, default=seed)
    parser.add_argument("--seconds", type=int, default=SAMPLE_SECONDS, help="no cell is begun later")
    parser.add_argument("--all", action="store_true", help="every cell that the filters let through")
    parser.add_argument("--cell", action="append", help="FIRST SECOND MEMORY CLEAR [-M] [load] [slow], these alone")
    parser.add_argument("--named", action="store_true", help="the named cells alone")
    parser.add_argument("--quiet", action="store_true", help="figures of failing cells only")
    for name in ("first", "second", "memory", "clear", "strict", "load"):
        parser.add_argument(f"--{name}", help="only these, with commas between")
    return parser.parse_args()


def main():
    options = parse_options()
    for binary in flagstone_binary(), REFERENCE:
        if not os.access(binary, os.X_OK):
            sys.exit(f"matrix: {binary} is not there")
    named = [Cell.parse(text) for text in options.cell or NAMED]
    drawn = [] if options.cell or options.named else all_cells(options)
    if options.all:
        named = []
    else:
        random.Random(options.seed).shuffle(drawn)
    print(f"matrix: seed {options.seed}, {len(named)} cells by name, {len(drawn)} to draw from", flush=True)
    end, results = time.monotonic() + options.seconds, []
    for number, cell in enumerate(named + drawn):
        if number >= len(named) and not options.all and time.monotonic() > end:
            break
        results.append(play(cell, options.seed, not options.quiet))
    print(f"  {len(results)} cells, {results.count(False)} failed, seed {options.seed}")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
