"""Flagstone and memcached answer the same command streams byte for byte.

Seeded random commands, classic and meta, valid and malformed, go to both servers,
pipelined deep and cut at random places into separate sends; what may differ is
listed in differences.py and nowhere else. The seed is printed; `--seed` takes it
back. The oracle is Debian's memcached, or `--reference PATH` (or $REFERENCE): it
is asked for its version and sent what that release knows.

Each frame of commands is followed by `version`, whose reply ends the frame's
replies. A batch of frames is sent to both servers at once and read to the last
version reply; batches go over a few connections in turn, some of them while
another connection has half a command sent. A difference is shrunk to the few
commands it takes, on servers of their own.
"""

import argparse
import random
import re
import select
import sys
import tempfile
import time

from commands import ALL_KEYS, Generator
from differences import FULL, NAMES
from meta_commands import BINARY_NAMES
from replies import Uniques, alike, frames, units
from servers import REFERENCE, DatagramServer, Server, flagstone_binary
from shrink import shrunk
from sides import MARK, DatagramSide, Side
from templates import shown, words

# Beside the folder that `servers` puts on the path.
from certificates import Authority, server_flags

MISMATCHES_MAX = 5
LINKS = 3
HISTORY_FRAMES_MAX = 2000
COMMANDS_SHOWN_MAX = 40
REPLY_SECONDS_MAX = 30
OPTIONS = ("-m", "1024", "-t", "2")
# One thread: a second one may hold an item a moment after its reply was read, and incr then makes a new item.
REFERENCE_OPTIONS = ("-m", "1024", "-t", "1", "-o", "no_lru_maintainer,no_lru_crawler")
COUNTERS_EXACT = (
    "cmd_get cmd_set cmd_touch cmd_flush get_hits get_misses delete_hits delete_misses incr_hits incr_misses decr_hits "
    "decr_misses cas_hits cas_misses cas_badval touch_hits touch_misses store_too_large curr_items total_items"
).split()


def exchange(sides, marks):
    """Sends and receives on both sides until each showed `marks` version replies or closed."""
    deadline = time.monotonic() + REPLY_SECONDS_MAX
    while waiting := [side for side in sides if not side.done(marks)]:
        links = [side.link for side in waiting]
        senders = [side.link for side in waiting if side.has_more_to_send()]
        readable, writable, _ = select.select(links, senders, [], 1)
        for side in waiting:
            side.step(side.link in readable, side.link in writable)
        if time.monotonic() > deadline:
            return


def release(server):
    """The memcached release a server's version names, as numbers."""
    return tuple(int(number) for number in re.findall(r"\d+", server.version())[:3])


class Comparison:
    """A run over both servers: what was sent, what differed."""

    def __init__(self, sides, seed=0):
        self.sides = sides
        self.is_stream = sides[0].is_stream
        self.cuts = random.Random(seed + 1)
        # memcached beside itself: no rule applies then.
        self.is_same = sides[0].server.binary == sides[1].server.binary
        self.oracle = release(sides[1].server)
        self.sent, self.connections, self.mismatches = 0, 0, 0
        self.history = []

    def possible(self, todo):
        """The frames that can be sent to both sides."""
        return [frame for frame in todo if all(side.takes(frame) for side in self.sides)]

    def batch(self, todo, link=0, held=None):
        """Sends frames to both sides and compares the replies; True when all agree.

        `held`: a command of which another connection has sent the half before, and sends the rest after.
        """
        halves = [side.encode(held) for side in self.sides] if held else []
        place = self.cuts.randrange(1, min(map(len, halves))) if held else 0
        for side, whole in zip(self.sides, halves):
            side.open(LINKS)
            side.link.sendall(whole[:place])
        agree = self.exchange_frames(todo, link, [[encoded(side, frame) for frame in todo] for side in self.sides])
        if held and agree:
            agree = self.exchange_frames([type(todo[0])([held])], LINKS, [[whole[place:] + b"version\r\n"] for whole in halves])
        return agree

    def exchange_frames(self, todo, link, sent):
        for side, parts in zip(self.sides, sent):
            side.open(link)
            side.start(parts, self.cuts)
        exchange(self.sides, len(todo))
        answers = [frames(units(bytes(side.reply), side.uniques)[0]) for side in self.sides]
        self.sent += sum(len(frame.commands) for frame in todo)
        for place, frame in enumerate(todo):
            mine, theirs = (answer[place] if place < len(answer) else None for answer in answers)
            self.history.append(frame)
            if not self.agrees(frame, mine, theirs):
                self.report(frame, mine, theirs)
                self.restart()
                return False
        del self.history[:-HISTORY_FRAMES_MAX]
        return True

    def agrees(self, frame, mine, theirs):
        if mine is None or theirs is None:
            return False
        if self.is_same:
            return frame.rule == "huge-number" or alike(mine, theirs)
        if frame.rule and b"".join(mine) not in frame.accepts:
            return False
        until = NAMES[frame.rule].until if frame.rule else self.oracle
        return until is None or until > self.oracle or alike(mine, theirs)

    def closes_alike(self, last):
        """Sends what ends a connection; both sides must answer the same and close."""
        for side in self.sides:
            side.open(0)
            side.start([last], self.cuts)
        exchange(self.sides, 1 << 30)
        answers = [units(bytes(side.reply), side.uniques)[0] for side in self.sides]
        ends = [side.closed for side in self.sides]
        self.restart()
        if answers[0] != answers[1] or ends != [True, True]:
            self.mismatches += 1
            print(f"MISMATCH at a closing command {last[:80]!r}\n  flagstone: {answers[0]} closed={ends[0]}")
            print(f"  memcached: {answers[1]} closed={ends[1]}")
        return answers[0] == answers[1]

    def restart(self):
        """Ends both connections; the next batch opens new ones."""
        self.connections += 1
        for side in self.sides:
            side.close()

    def empty(self):
        """Brings both servers to the same state again after a mismatch."""
        for side in self.sides:
            with side.server.connect() as link:
                link.sendall(b"flush_all\r\n")
                assert link.recv(4) == b"OK\r\n", "flush_all failed"
            side.uniques = Uniques()
        self.history.clear()

    def report(self, frame, mine, theirs):
        """Prints what is needed to see the mismatch: the fewest commands that show it, or the frame as it came."""
        self.mismatches += 1
        print(f"MISMATCH {self.mismatches}: connection {self.connections}, rule {frame.rule}")
        least = shrunk(self.history, lambda some: first_difference(self.sides, some) is not None)
        if least is None:
            print("  it does not come back one command at a time; as it came:")
            self.print_difference(frame, [*self.related(frame), *frame.commands], mine, theirs)
            return
        commands = [command for some in least for command in some.commands]
        self.print_difference(least[-1], commands, *first_difference(self.sides, least))

    def print_difference(self, frame, commands, mine, theirs):
        for command in commands[-COMMANDS_SHOWN_MAX:]:
            print(f"  sent      {shown(command)}")
        at = 0
        while mine and theirs and at + 1 < min(len(mine), len(theirs)) and alike(mine[at : at + 1], theirs[at : at + 1]):
            at += 1
        for name, reply in (("flagstone", mine), ("memcached", theirs)):
            print(f"  {name} {shown(b''.join(reply[at : at + 3]) if reply is not None else None)}")
        if frame.accepts and not self.is_same:
            print(f"  to be     {' or '.join(shown(reply) for reply in frame.accepts)}")
        sys.stdout.flush()

    def related(self, frame):
        """The last commands before the frame that name one of its keys or flush."""
        names = {key for key in (*ALL_KEYS, *BINARY_NAMES) for command in frame.commands if key in words(command)} | {b"flush_all"}
        earlier = [command for old in self.history[:-1] for command in old.commands]
        return [command for command in earlier if names & words(command)][-8:]


class Quiet(Comparison):
    """A comparison that keeps the two replies that differ and says nothing."""

    difference = None

    def report(self, frame, mine, theirs):
        self.difference = (mine, theirs)


def first_difference(sides, todo):
    """Both replies to the first frame that new servers, started as those of `sides`, answer differently; or None."""
    with sides[0].server.again() as ours, sides[1].server.again() as theirs:
        trial = Quiet([type(sides[0])(ours), type(sides[1])(theirs)])
        for frame in todo:
            if not trial.batch([frame]):
                break
        trial.restart()
    return trial.difference


def encoded(side, frame):
    """The bytes of a frame's commands and its end, for this server."""
    return b"".join(map(side.encode, (*frame.commands, b"version\r\n")))


def compare_streams(comparison, generator, count):
    """Random streams over many connections until `count` commands were compared."""
    cuts = comparison.cuts
    while comparison.sent < count and comparison.mismatches < MISMATCHES_MAX:
        for _ in range(cuts.randint(1, 8)):
            todo = comparison.possible(generator.batch(cuts.choice([1, 5, 30, 200])))
            held = generator.store() if comparison.is_stream and cuts.random() < 0.1 else None
            if not comparison.batch(todo, cuts.randrange(LINKS), held):
                comparison.empty()
        if not comparison.is_stream:
            comparison.restart()
        elif all(side.link for side in comparison.sides):
            if not comparison.closes_alike(generator.closing()):
                comparison.empty()


def counters(sides):
    return [{name: int(stats[name]) for name in COUNTERS_EXACT} for stats in (side.server.stats() for side in sides)]


def compare_counters(comparison, generator):
    """The exact counters move alike over a stream of plain commands; expired items are asked for last."""
    sides = comparison.sides
    before = counters(sides)
    for _ in range(20):
        if not comparison.batch(comparison.possible(generator.batch(50, ruled=0))):
            return
    sweep = generator.plain()
    sweep.commands = [b"get " + key + b"\r\n" for key in ALL_KEYS]
    comparison.batch(comparison.possible([sweep]))
    after = counters(sides)
    moved = [{name: a[name] - b[name] for name in COUNTERS_EXACT} for a, b in zip(after, before)]
    wrong = [name for name in COUNTERS_EXACT if moved[0][name] != moved[1][name]]
    wrong += ["curr_items now"] * (after[0]["curr_items"] != after[1]["curr_items"])
    report_counters(comparison, "random stream", wrong, moved)


SCRIPTS = [
    (b"set a 0 -1 1\r\nx\r\nget a\r\n", dict(cmd_set=1, cmd_get=1, get_misses=1, get_expired=1, total_items=1)),
    (b"set a 0 0 1\r\nx\r\ntouch a -1\r\nget a\r\n", dict(cmd_set=1, cmd_touch=1, touch_hits=1, get_misses=1, get_expired=1)),
    (b"set a 0 0 1\r\nx\r\nflush_all\r\nget a\r\nget a\r\n", dict(cmd_flush=1, cmd_get=2, get_misses=2)),
    (b"set a 0 0 1\r\n5\r\nincr a 1\r\nincr b 1\r\nincr a x\r\ndecr a 1\r\n", dict(incr_hits=1, incr_misses=1, decr_hits=1)),
    (b"set a 0 0 1\r\nabc\r\ndelete a\r\ndelete a\r\n", dict(cmd_set=1, delete_hits=1, delete_misses=1)),
    (b"set a 0 0 1\r\nx\r\ngat 0 a b\r\n", dict(cmd_touch=2, touch_hits=1, touch_misses=1, cmd_get=0, get_hits=0)),
    # Not by curr_items: what an earlier script flushed is swept in its own time.
    (b"set a 0 0 1048577\r\n" + b"x" * 1048577 + b"\r\nget a\r\n", dict(store_too_large=1, cmd_set=0, get_misses=1)),
]


def scripted_counters(comparison):
    """Short scripts whose counters are known, on both servers."""
    for script, wanted in SCRIPTS:
        for side in comparison.sides:
            with side.server.connect() as link, link.makefile("rb") as lines:
                link.sendall(b"flush_all\r\nset a 0 0 1\r\ny\r\nget a b\r\nversion\r\n")
                skip_to_version(lines)
                before = side.server.stats()
                link.sendall(script + b"version\r\n")
                skip_to_version(lines)
            after = side.server.stats()
            moved = {name: int(after[name]) - int(before[name]) for name in wanted}
            wrong = [name for name in wanted if moved[name] != wanted[name]]
            report_counters(comparison, f"{side.server.binary.rsplit('/')[-1]}: {script[:60]!r}", wrong, [moved, wanted])


def skip_to_version(lines):
    while not lines.readline().startswith(MARK):
        pass


def report_counters(comparison, what, wrong, moved):
    comparison.mismatches += bool(wrong)
    for name in wrong:
        print(f"COUNTER {name} differs after {what}: {moved[0].get(name)} and {moved[1].get(name)}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments.add_argument("--commands", type=int, default=300_000)
    arguments.add_argument("--tls", action="store_true", help="speak TLS with Flagstone; memcached is asked in plain")
    arguments.add_argument("--reference", default=REFERENCE, help="the memcached to compare with")
    arguments.add_argument("--udp", action="store_true", help="commands go by UDP")
    options = arguments.parse_args()
    began = time.monotonic()
    print(f"differential: seed {options.seed}, {options.commands} commands{' by UDP' * options.udp}", flush=True)
    binary = flagstone_binary()
    with tempfile.TemporaryDirectory() as folder:
        return compare(options, binary, Encryption(folder) if options.tls else None, began)


class Encryption:
    """Flags and context of a server that speaks TLS. Debian's memcached loses requests over TLS that come together."""

    def __init__(self, folder):
        authority = Authority(folder)
        self.flags = server_flags(authority.sign("localhost"))
        self.context = authority.context()


def compare(options, binary, encryption, began):
    """The whole comparison; the exit status."""
    kind, side = (DatagramServer, DatagramSide) if options.udp else (Server, Side)
    flags = encryption.flags if encryption else []
    theirs = kind(options.reference, *REFERENCE_OPTIONS)
    ours = kind(binary, *(REFERENCE_OPTIONS if binary == options.reference else OPTIONS), *flags)
    ours.context = encryption and encryption.context
    with ours, theirs:
        comparison = Comparison([side(ours), side(theirs)], options.seed)
        print(f"  versions {ours.version()} and {theirs.version()}")
        full = comparison.oracle >= FULL
        compare_counters(comparison, Generator(options.seed + 2, full, only_counted=True))
        comparison.restart()
        compare_streams(comparison, Generator(options.seed, full), options.commands)
        if comparison.is_stream:
            scripted_counters(comparison)
        alive = ours.alive() and theirs.alive()
    print(f"  {comparison.sent} commands on {comparison.connections} connections in {time.monotonic() - began:.0f} s, "
          f"{comparison.mismatches} mismatches{'' if alive else ', A SERVER DIED'}")
    failed = comparison.mismatches or not alive
    print("FAIL differential: the servers answer differently" if failed else "ok differential: same replies, same counters")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
