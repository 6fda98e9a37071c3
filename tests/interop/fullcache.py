"""A full cache stays right and bounded: -m 16, 32 and 64, ten times more data than fits.

Sizes run from 1 byte to 900 KB, evenly on a logarithmic scale, mixed and then
drifting from 1 KB to 900 KB, which is hard on slab memory. Every set must be
stored, every hit must be the very value last set, recent keys must hit, and the
process's resident memory never passes -m + 2 % + 8 MiB + connection buffers.
With `--report` the memory bound and refused sets are printed and not enforced,
for servers that do not promise them.
"""

import random
import sys
import threading
import time

from client import Client
from servers import Server, flagstone_binary

MEMORY_MB = (16, 32, 64)
TIMES_OVER = 10
VALUE_BYTES_MAX = 900_000
CONNECTIONS = 4
BUFFER_BYTES_PER_CONNECTION = 1 << 20
SLACK_BYTES = 8 << 20
MIB = 1 << 20


def value_of(key, number, size):
    """A value that tells its key, its number and its size in its every part."""
    stamp = b"%s %d %d;" % (key, number, size)
    return (stamp * (size // len(stamp) + 1))[:size]


class Writer:
    """One connection that owns its keys: sets, and verifies hits against what it set last."""

    def __init__(self, number, port, seed, budget, keys, report):
        self.number, self.budget, self.keys, self.report = number, budget, keys, report
        self.client = Client(port)
        self.random = random.Random(seed * 100 + number)
        self.last = {}
        self.stored_bytes, self.sets, self.hits, self.misses, self.fresh_misses = 0, 0, 0, 0, 0
        self.refused, self.recent = 0, []
        self.wrong = None

    def run(self):
        try:
            while self.stored_bytes < self.budget:
                self.store(self.size())
                if self.recent:
                    self.check(self.random.choice(self.recent))
                if self.sets % 10 == 0:
                    self.check_many()
        except Exception as reason:  # reported by name at the end, in one place
            self.wrong = reason

    def size(self):
        """Log-uniform over the whole range in the first half, then a window that drifts up from 1 KB."""
        done = self.stored_bytes / self.budget
        if done < 0.5:
            return int(VALUE_BYTES_MAX ** self.random.random())
        return int(VALUE_BYTES_MAX ** min(1.0, max(0.0, self.random.gauss(done, 0.1))))

    def store(self, size):
        key = b"%d:%d" % (self.number, self.random.randrange(self.keys))
        self.sets += 1
        reply = self.client.set(key, value_of(key, self.sets, size))
        if self.report and reply.startswith(b"SERVER_ERROR"):
            self.refused += 1
            self.client.delete(key)
            return
        assert reply == b"STORED\r\n", f"a set of {size} bytes was answered {reply!r}"
        self.last[key] = (self.sets, size)
        self.recent = [*self.recent[-20:], key]
        self.stored_bytes += size + len(key) + 50
        if self.client.get(key) != {key: value_of(key, self.sets, size)}:
            self.fresh_misses += 1

    def check(self, *keys):
        """Every hit is the value last set: never an older one, another key's, or a torn one."""
        found = self.client.get(*keys)
        for key in keys:
            if key not in found:
                self.misses += 1
                continue
            assert key in self.last, f"{key!r} was never set"
            assert found[key] == value_of(key, *self.last[key]), f"{key!r} is wrong: {found[key][:80]!r}"
            self.hits += 1

    def check_many(self):
        self.check(*(b"%d:%d" % (self.number, self.random.randrange(self.keys)) for _ in range(10)))


class Watch:
    """Samples the server's resident memory until told to stop."""

    def __init__(self, server):
        self.server, self.peak, self.done = server, server.resident_bytes(), threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.done.wait(0.02):
            self.peak = max(self.peak, self.server.resident_bytes())

    def stop(self):
        self.done.set()
        self.thread.join()
        return max(self.peak, self.server.resident_bytes())


def fill(server, megabytes, seed, report):
    """Stores ten times the memory over some connections; returns the writers, done and verified."""
    budget = TIMES_OVER * megabytes * MIB // CONNECTIONS
    writers = [Writer(number, server.port, seed, budget, megabytes * 40, report) for number in range(CONNECTIONS)]
    threads = [threading.Thread(target=writer.run) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for writer in writers:
        if writer.wrong:
            raise writer.wrong
    return writers


def judge(writers, stats, report):
    """What must hold after the run beside right values and stored sets."""
    total = {name: sum(getattr(writer, name) for writer in writers) for name in ("sets", "hits", "misses", "fresh_misses", "refused")}
    assert int(stats["evictions"]) > 0, "nothing was evicted: the cache was not full"
    assert total["fresh_misses"] <= total["sets"] // 10, f"{total['fresh_misses']} values were gone right after their set"
    assert total["hits"] > total["misses"] // 10, f"too few hits: {total}"
    assert report or int(stats["bytes"]) <= int(stats["limit_maxbytes"]), "more bytes than the limit"
    return total


def run(megabytes, seed, report):
    """One size of cache; prints its line and returns whether it passed."""
    name = f"fullcache: -m {megabytes}"
    with Server(flagstone_binary(), "-m", megabytes, "-t", 2) as server:
        watch, began = Watch(server), time.monotonic()
        try:
            total = judge(fill(server, megabytes, seed, report), server.stats(), report)
        except Exception as reason:  # any wrong value or refused set is this test's failure
            print(f"FAIL {name}: {reason!r}{server.death()}")
            return False
        finally:
            peak = watch.stop()
    bound = int(megabytes * MIB * 1.02) + SLACK_BYTES + (CONNECTIONS + 1) * BUFFER_BYTES_PER_CONNECTION
    print(f"  {total}, {time.monotonic() - began:.0f} s, RSS peak {peak / MIB:.1f} MiB, bound {bound / MIB:.1f} MiB")
    if peak > bound and not report:
        print(f"FAIL {name}: resident memory passed its bound")
        return False
    print(f"ok {name}: every hit right, no set refused{'' if report else ', memory bounded'}")
    return True


def main():
    words = [word for word in sys.argv[1:] if word != "--report"]
    seed = int(words[0]) if words else random.SystemRandom().randrange(1 << 32)
    print(f"fullcache: seed {seed}", flush=True)
    passed = [run(megabytes, seed, "--report" in sys.argv) for megabytes in MEMORY_MB]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
