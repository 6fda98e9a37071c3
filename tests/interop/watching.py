"""Flagstone and memcached tell a watcher the same of the same commands.

Seeded random commands go to both servers, each of which has a watcher; the lines
are compared word by word but for time, number, descriptor and the class's number.
The seed is printed; `--seed` takes it back.
"""

import argparse
import random
import re
import sys
import time

from servers import REFERENCE, Server, flagstone_binary

# `deletions` is not known to every memcached 1.6.
WORDS = b"fetchers mutations"
KEYS = [b"k%d" % number for number in range(20)] + [b"a%b/c", b"#" * 250]
STORES = (b"set", b"set", b"add", b"replace", b"append", b"prepend")
BATCH = 40
REPLY_SECONDS_MAX = 30
# Only what clients do is told of: nobody else is to remove what has expired.
REFERENCE_OPTIONS = ("-t", "1", "-o", "no_lru_maintainer,no_lru_crawler")
NEUTRAL = (
    (re.compile(rb"^ts=\d+\.\d{1,6} gid=\d+ "), b""),
    (re.compile(rb" clsid=[1-9]\d*"), b" clsid=C"),
    (re.compile(rb" cfd=\d+"), b" cfd=F"),
    # A second may turn between the servers.
    (re.compile(rb" ttl=[1-9]\d*"), b" ttl=T"),
)


def command(random, fetches):
    """A command; `fetches`: with gets and without arithmetic, else the other way round. memcached cannot change a
    number in place while a get of the same batch still holds its item, and then its length is another."""
    key, kind = random.choice(KEYS), random.randrange(9)
    if kind < 3:
        value = random.choice((b"9", b"99999", b"x" * random.randrange(200)))
        exptime = random.choice((0, 0, 1000))
        return b"%s %s 0 %d %d\r\n%s\r\n" % (random.choice(STORES), key, exptime, len(value), value)
    if kind == 3:
        return b"cas %s 0 0 1 18446744073709551610\r\nx\r\n" % key
    if kind == 4:
        return b"delete %s\r\n" % key
    if not fetches and kind in (5, 7, 8):
        return b"%s %s %d\r\n" % (random.choice((b"incr", b"decr")), key, random.randrange(1000))
    if kind in (5, 6):
        return b"touch %s 1000\r\n" % key
    return b"%s %s\r\n" % (random.choice((b"get", b"gets", b"gat 1000")), b" ".join(random.sample(KEYS, 3)))


class Side:
    """A server's client and watcher."""

    def __init__(self, server):
        self.client, self.watcher = server.connect(), server.connect()
        for link in (self.client, self.watcher):
            link.settimeout(REPLY_SECONDS_MAX)
        self.lines = self.watcher.makefile("rb")
        self.watcher.sendall(b"watch %s\r\n" % WORDS)
        assert self.lines.readline() == b"OK\r\n"

    def told(self, commands, last):
        """Sends commands, and a get of a key that ends them; the lines up to it."""
        self.client.sendall(b"".join(commands) + b"get %s\r\n" % last)
        lines = []
        while not lines or b" key=%s " % last not in lines[-1]:
            line = self.lines.readline()
            assert line.endswith(b"\n"), "the watcher was closed"
            for pattern, text in NEUTRAL:
                line = pattern.sub(text, line)
            lines.append(line)
        # The replies are another test's business, but they must not fill the socket.
        self.client.recv(1 << 20)
        return lines


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xFFFFFFFF)
    parser.add_argument("--commands", type=int, default=20_000)
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    dice = random.Random(asked.seed)
    with Server(flagstone_binary()) as ours, Server(REFERENCE, *REFERENCE_OPTIONS) as theirs:
        sides = [Side(ours), Side(theirs)]
        total = 0
        for batch in range(asked.commands // BATCH):
            commands = [command(dice, batch % 2 == 0) for _ in range(BATCH)]
            mine, other = [side.told(commands, b"end-of-%d" % batch) for side in sides]
            total += len(mine)
            if mine != other:
                differing = next((pair for pair in zip(mine, other) if pair[0] != pair[1]), (mine[-1:], other[-1:]))
                print(f"FAIL watchers are told the same: batch {batch}: {differing[0]!r}, memcached {differing[1]!r}")
                sys.exit(1)
    print(f"ok watchers are told the same: {total} lines of {asked.commands} commands")


main()
