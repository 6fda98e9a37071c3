"""A web application's look-aside session: 64 threads, every value verified.

A database in this process is the truth. Threads read through the cache: user
records, sessions with TTLs, page counters, a leaderboard page that is cached
and invalidated, 100 KB values. Nothing is evicted at this size, so beside being
right the cache must also hit. What a cache may legitimately answer is decided
by the database's versions: a value is right if it was the truth at some moment
between the read's start and end.
"""

import random
import sys
import threading
import time

from client import Client
from servers import Server, flagstone_binary

THREADS = 64
SECONDS = 30
USERS = 2000
PAGES = 50
SESSION_SECONDS = 100
LARGE_BYTES = 100_000


class Database:
    """The truth: users' versions only rise; a row's text is derived from user and version."""

    def __init__(self):
        self.lock = threading.Lock()
        self.versions = [1] * USERS
        self.visits = [0] * PAGES
        self.scores = [0] * 100

    def row(self, user):
        return row_of(user, self.versions[user])


def row_of(user, version):
    return b"user %d version %d " % (user, version) + bytes([user % 251]) * (user % 700)


def large_of(number):
    return (b"%08d\r\n" % number) * (LARGE_BYTES // 10)


class Visitor:
    """One thread's work, and what it found wrong."""

    def __init__(self, number, port, database, seed):
        self.number, self.database = number, database
        self.client = Client(port)
        self.random = random.Random(seed * 1000 + number)
        self.hits, self.reads, self.actions, self.visited = 0, 0, 0, [0] * PAGES
        self.session = 0
        self.wrong = None

    def run(self, end):
        work = [self.read_user] * 10 + [self.update_user, self.visit, self.visit, self.sign_in, self.leaderboard,
                                       self.score, self.large, self.many_users, self.compare_and_swap]
        try:
            while time.monotonic() < end:
                self.random.choice(work)()
                self.actions += 1
        except Exception as reason:  # reported by name at the end, in one place
            self.wrong = reason

    def read_user(self):
        """Reads through: a miss fills the cache by add, which never overwrites a newer row."""
        user = self.random.randrange(USERS)
        key = b"user:%d" % user
        before = self.database.versions[user]
        found = self.client.get(key).get(key)
        self.reads += 1
        if found is None:
            with self.database.lock:
                self.client.add(key, self.database.row(user), 3600)
            return
        self.hits += 1
        self.check_row(user, found, before)

    def check_row(self, user, found, before):
        versions = range(before, self.database.versions[user] + 1)
        assert found in (row_of(user, version) for version in versions), f"user {user}: {found[:60]!r} not in {versions}"

    def update_user(self):
        """Changes the truth and the cache under the database's lock, as a transaction would."""
        user = self.random.randrange(USERS)
        key = b"user:%d" % user
        with self.database.lock:
            # The cache first forgets, so that no reader sees a row older than the version it read before.
            assert self.client.delete(key) in (b"DELETED\r\n", b"NOT_FOUND\r\n")
            self.database.versions[user] += 1
            if self.random.random() < 0.5:
                assert self.client.set(key, self.database.row(user), 3600) == b"STORED\r\n"

    def many_users(self):
        users = self.random.sample(range(USERS), 40)
        before = [self.database.versions[user] for user in users]
        found = self.client.get(*(b"user:%d" % user for user in users))
        for user, version in zip(users, before):
            if b"user:%d" % user in found:
                self.check_row(user, found[b"user:%d" % user], version)

    def visit(self):
        """Counters lose nothing: the sum is checked at the end."""
        page = self.random.randrange(PAGES)
        assert self.client.incr(b"visits:%d" % page) is not None, "a counter is gone"
        self.visited[page] += 1

    def sign_in(self):
        """A session of its own: there until its TTL ends, gone when it signs out."""
        self.session += 1
        key = b"session:%d:%d" % (self.number, self.session)
        token = b"token %d" % self.random.getrandbits(64)
        assert self.client.set(key, token, SESSION_SECONDS) == b"STORED\r\n"
        assert self.client.get(key) == {key: token}, "a session is lost"
        if self.random.random() < 0.5:
            assert self.client.touch(key, SESSION_SECONDS) == b"TOUCHED\r\n"
            assert self.client.get(key) == {key: token}
        assert self.client.delete(key) == b"DELETED\r\n" and self.client.get(key) == {}
        assert self.client.set(key, token, -1) == b"STORED\r\n" and self.client.get(key) == {}

    def leaderboard(self):
        """A page made of many rows; the one who gets the lock key makes it."""
        page = self.client.get(b"leaderboard").get(b"leaderboard")
        if page is not None:
            scores = [int(word) for word in page.split()]
            assert scores == sorted(scores, reverse=True) and len(scores) == len(self.database.scores), "a torn page"
        elif self.client.add(b"leaderboard:lock", b"1", 10) == b"STORED\r\n":
            scores = sorted(self.database.scores, reverse=True)
            assert self.client.set(b"leaderboard", b" ".join(b"%d" % score for score in scores), 60) == b"STORED\r\n"
            assert self.client.delete(b"leaderboard:lock") == b"DELETED\r\n"

    def score(self):
        self.database.scores[self.random.randrange(len(self.database.scores))] += 1
        self.client.delete(b"leaderboard")

    def large(self):
        number = self.random.randrange(200)
        key = b"large:%d" % number
        found = self.client.get(key).get(key)
        assert found is None or found == large_of(number), "a large value is wrong"
        if found is None or self.random.random() < 0.1:
            assert self.client.set(key, large_of(number)) == b"STORED\r\n"

    def compare_and_swap(self):
        """All threads count in one item by gets and cas; no step is lost."""
        while True:
            value, unique = self.client.gets(b"swapped")
            reply = self.client.store(b"cas", b"swapped", b"%d" % (int(value) + 1), unique=unique)
            if reply == b"STORED\r\n":
                self.swapped = getattr(self, "swapped", 0) + 1
                return
            assert reply == b"EXISTS\r\n", reply


def verify(client, visitors):
    """What must hold when all are done."""
    for page in range(PAGES):
        stored = int(client.get(b"visits:%d" % page)[b"visits:%d" % page])
        assert stored == sum(visitor.visited[page] for visitor in visitors), f"page {page} was counted wrong"
    swapped = sum(getattr(visitor, "swapped", 0) for visitor in visitors)
    assert int(client.get(b"swapped")[b"swapped"]) == swapped, "compare and swap lost a step"
    reads, hits = (sum(getattr(visitor, name) for visitor in visitors) for name in ("reads", "hits"))
    assert hits > 0.5 * reads > 0, f"only {hits} hits in {reads} reads"


def ttls_end(client):
    """A short TTL ends within two seconds of its time, not before; a touched one goes on."""
    began = time.monotonic()
    assert client.set(b"short", b"1", 2) == client.set(b"longer", b"1", 2) == b"STORED\r\n"
    assert client.touch(b"longer", 1000) == b"TOUCHED\r\n"
    while client.get(b"short"):
        assert time.monotonic() - began < 4, "a TTL of 2 s lives on after 4 s"
        time.sleep(0.02)
    assert time.monotonic() - began > 0.9, "a TTL of 2 s ended within a second"
    assert client.get(b"longer") == {b"longer": b"1"}


def session(port, seed):
    """The whole session: fills, runs the threads, verifies."""
    first, database = Client(port), Database()
    for page in range(PAGES):
        assert first.set(b"visits:%d" % page, b"0") == b"STORED\r\n"
    assert first.set(b"swapped", b"0") == b"STORED\r\n"
    visitors = [Visitor(number, port, database, seed) for number in range(THREADS)]
    end = time.monotonic() + SECONDS
    threads = [threading.Thread(target=visitor.run, args=(end,)) for visitor in visitors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for visitor in visitors:
        if visitor.wrong:
            raise visitor.wrong
    verify(first, visitors)
    ttls_end(first)
    return sum(visitor.actions for visitor in visitors)


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(1 << 32)
    print(f"lookaside: seed {seed}, {THREADS} threads, {SECONDS} s", flush=True)
    with Server(flagstone_binary(), "-m", "256") as server:
        try:
            actions = session(server.port, seed)
        except Exception as reason:  # any wrong value is this test's failure
            print(f"FAIL lookaside: {reason!r}{server.death()}")
            return 1
        evictions = server.stats()["evictions"]
    print(f"  {actions} actions, {evictions} evictions")
    print("ok lookaside: every value right")
    return 0


if __name__ == "__main__":
    sys.exit(main())
