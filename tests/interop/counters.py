"""Counters are exact: after the same session every report of Flagstone says what memcached's says.

Scripted and seeded sessions, of classic and meta commands over three
connections, go to Flagstone and to memcached. Each begins with a `stats reset`
after a session of other commands, and ends with a comparison of the general
report and of the sums over the classes of `items` and `slabs`. What is not compared stands
below by name, with its reason; nothing else may differ.

A session is played again when background work was in its way: Flagstone's
second changed, at which its sweep takes what has expired, or memcached's LRU
thread says that it took or held an item.
"""

import random
import sys
import time

from servers import REFERENCE, Server, flagstone_binary

CONNECTIONS = 3
SEEDED_SESSIONS = 16
COMMANDS_PER_SESSION = 150
ATTEMPTS_MAX = 60
# Attempts keep memcached's LRU thread awake that are in its way then: after so many in vain both servers rest.
ATTEMPTS_A_REST = 6
# memcached's LRU thread looks at classes in which nothing happens less and less often, at last once a second.
REST_SECONDS = 10
# memcached's LRU thread took an item before a command found it, or held one that a command wanted.
TAKEN = ("reclaimed", "lrutail_reflocked")
HELD = ("moves_to_cold", "moves_to_warm", "moves_within_lru")
KEYS = [b"a", b"b", b"b2", b"c", b"d", b"e", b"f", b"m", b"n", b"t", b"x", *(b"k%d" % number for number in range(8))]
TOO_LARGE = b"v" * 1_048_600
PIECES = b"p" * 40_000
# In a session: what memcached's flush_all counts depends on whether items are older than this.
PAUSE = None
PAUSE_SECONDS = 2.5

# General values that two right servers need not share.
APART = {
    "the process and its time": "pid uptime time version libevent rusage_user rusage_system",
    "memory's geometry": "bytes slab_global_page_pool hash_power_level hash_bytes hash_is_expanding",
    "buffers and threads of memcached's that do not exist here": "connection_structures response_obj_count "
    "response_obj_bytes read_buf_count read_buf_bytes read_buf_bytes_free reserved_fds log_worker_dropped "
    "log_worker_written log_watcher_sent lru_crawler_starts lru_maintainer_juggles moves_to_cold moves_to_warm "
    "moves_within_lru direct_reclaims crawler_items_checked",
    "what memcached's LRU thread met on its rounds, and a store here": "reclaimed expired_unfetched lrutail_reflocked",
    "compared with what was sent and received": "bytes_read bytes_written",
}
NOT_COMPARED = {name for names in APART.values() for name in names.split()}

# Lines of settings that are about an address, or where our default is another one.
SETTINGS_APART = {
    "tcpport": "the kernel chose it",
    "inter": "memcached takes the last -l, ours shows all",
    "hash_algorithm": "depends on how memcached was built; ours takes and ignores it",
    "hashpower_init": "1.6.18 prints 0, as ours",
}

# Lines that are there by how memcached was built: external storage, TLS.
SETTINGS_BUILD = {
    "ext_item_size", "ext_item_age", "ext_low_ttl", "ext_recache_rate", "ext_wbuf_size", "ext_compact_under", "ext_drop_under",
    "ext_max_sleep", "ext_max_frag", "slab_automove_freeratio", "ext_drop_unread", "ssl_enabled", "ssl_chain_cert", "ssl_key",
    "ssl_verify_mode", "ssl_keyformat", "ssl_ciphers", "ssl_ca_cert", "ssl_wbuf_size", "ssl_session_cache",
    "ssl_kernel_tls", "ssl_min_version",
}

# 1.6.18 has other defaults for these.
SETTINGS_OLD = {"slab_automove_window", "num_napi_ids"}

# Commands that 1.6.18 means in another way: its flush_all takes what is stored later in the same second, too, and its ms
# knows neither N nor I, and no C in its modes. Against it they are left out.
NEW_MEANING = (b"flush_all", b" N30", b" I\r", b" I T30", b" C18446744073709551615")

# What 1.6.18 prints and 1.6.45 does not, and the other way round.
GENERAL_OLD = {"slab_reassign_evictions_nomem"}
GENERAL_NEW = {"slab_reassign_busy_nomem", "slab_reassign_last_busy_status"}


def is_old(reference):
    """Whether the reference is of the 1.6 releases before the counters' names changed."""
    return reference["version"].startswith("1.6.18")


class Side:
    """One server, and what was sent to it and received from it."""

    def __init__(self, server):
        self.server = server
        self.links = [server.connect() for _ in range(CONNECTIONS)]
        self.sent = self.received = 0

    def close(self):
        for link in self.links:
            link.close()

    def ask(self, number, request, end=b"MN\r\n"):
        """Sends over one connection, and reads until the reply ends so."""
        link = self.links[number]
        link.sendall(request)
        self.sent += len(request)
        reply = bytearray()
        while not reply.endswith(end):
            piece = link.recv(1 << 20)
            if not piece:
                raise RuntimeError(f"closed after {request[:80]!r}{self.server.death()}")
            reply += piece
        self.received += len(reply)
        return bytes(reply)

    def play(self, number, request):
        """One command, with a mark behind it by which its reply is known to be whole."""
        if b"#CAS#" in request:
            key = request.split()[1]
            reply = self.ask(number, b"gets %s\r\n" % key, b"END\r\n")
            unique = reply.split(b"\r\n")[0].split()[-1] if reply.startswith(b"VALUE") else b"5"
            request = request.replace(b"#CAS#", unique)
        return self.ask(number, request + b"mn\r\n")

    def report(self, name=b""):
        """A report's lines, in order."""
        reply = self.ask(0, b"stats" + (b" " + name if name else b"") + b"\r\n", b"END\r\n")
        return [tuple(line.split(" ", 2)[1:]) for line in reply.decode().split("\r\n")[:-2]]


def value(verb, key, data, flags=0, exptime=0, tail=b""):
    return b"%s %s %d %d %d%s\r\n%s\r\n" % (verb, key, flags, exptime, len(data), tail, data)


def meta(key, data, flags=b""):
    return b"ms %s %d %s\r\n%s\r\n" % (key, len(data), flags, data)


SCRIPTS = {
    "hits and misses": [
        value(b"set", b"a", b"1"), b"get a\r\n", b"get a b a\r\n", b"gets b\r\n", b"gets a\r\n", value(b"add", b"a", b"2"),
        value(b"add", b"b", b"2"), value(b"replace", b"b", b"3"), value(b"replace", b"c", b"3"),
        value(b"append", b"b", b"4"), value(b"prepend", b"c", b"4"), value(b"prepend", b"b", b"4"),
        b"delete b\r\n", b"delete b\r\n", b"touch a 100\r\n", b"touch b 100\r\n", b"gat 0 a b\r\n", b"gats 10 a\r\n",
    ],
    "numbers": [
        value(b"set", b"n", b"9"), b"incr n 1\r\n", b"incr n 1\r\n", b"decr n 5\r\n", b"decr n 50\r\n", b"incr m 1\r\n",
        b"decr m 1\r\n", b"incr n x\r\n", value(b"set", b"t", b"text"), b"incr t 1\r\n", b"decr t 1\r\n",
        value(b"set", b"n", b"99"), b"incr n 1\r\n", b"incr n 18446744073709551615\r\n",
    ],
    "cas": [
        value(b"set", b"a", b"1"), value(b"cas", b"a", b"2", tail=b" #CAS#"), value(b"cas", b"a", b"2", tail=b" 0"),
        value(b"cas", b"a", b"2", tail=b" 18446744073709551615"), value(b"cas", b"b", b"2", tail=b" 18446744073709551615"),
        value(b"cas", b"a", b"longer " * 40, tail=b" #CAS#"), value(b"cas", b"a", b"", tail=b" #CAS#"),
    ],
    "found expired by every command": [
        command
        for find in (
            b"get e\r\n", b"gets e f\r\n", b"gat 0 e\r\n", b"touch e 0\r\n", b"delete e\r\n", b"incr e 1\r\n", b"decr e 1\r\n",
            value(b"set", b"e", b"1"), value(b"add", b"e", b"1"), value(b"replace", b"e", b"1"), value(b"append", b"e", b"1"),
            value(b"cas", b"e", b"1", tail=b" 7"), value(b"set", b"e", TOO_LARGE), value(b"add", b"e", TOO_LARGE),
            value(b"set", b"e", PIECES), b"set e 0 0 1\r\n123\r\n", b"mg e v\r\n", b"mg e T100 v\r\n", b"md e\r\n", b"ma e\r\n",
            b"me e\r\n", meta(b"e", b"1"), meta(b"e", b"1", b"ME"), meta(b"e", b"1", b"MA"), b"mg e N30 v\r\n", b"ma e N0\r\n",
            b"md e I\r\n", meta(b"e", TOO_LARGE),
        )
        for command in (b"delete e\r\n", value(b"set", b"e", b"1", exptime=-1), find)
    ],
    "expired by touch": [
        value(b"set", b"e", b"1"), b"touch e -1\r\n", b"get e\r\n", value(b"set", b"e", b"1"), b"gat -1 e\r\n", b"get e\r\n",
        value(b"set", b"e", b"1"), b"mg e T-1\r\n", b"mg e v\r\n", value(b"set", b"e", b"1", exptime=2592001), b"get e\r\n",
    ],
    "flushed": [
        value(b"set", b"a", b"1"), value(b"set", b"b", b"1"), value(b"set", b"c", b"1"), PAUSE, value(b"set", b"d", b"1"),
        b"flush_all\r\n", b"get d\r\n", b"get a\r\n", b"get a\r\n", value(b"set", b"b", b"1"), b"get b\r\n", b"touch c 0\r\n", b"get e\r\n",
        b"flush_all 0\r\n", b"flush_all 1000\r\n", b"flush_all x\r\n", b"get b\r\n",
    ],
    "too large, and bad data": [
        value(b"set", b"a", b"1"), value(b"set", b"a", TOO_LARGE), b"get a\r\n", value(b"add", b"a", TOO_LARGE),
        value(b"append", b"a", TOO_LARGE), b"set a 0 0 1\r\n123\r\n", b"add b 0 0 1\r\n123\r\n",
        value(b"set", b"a", PIECES), b"set a 0 0 40000\r\n" + PIECES + b"xx\r\n", b"get a\r\n",
        value(b"append", b"a", PIECES * 26), meta(b"a", TOO_LARGE), b"ms a 1\r\n123\r\n", b"set a 0 0 -1\r\n", b"set a 0 0 x\r\n",
    ],
    "noreply": [
        b"set a 0 0 1 noreply\r\n1\r\n", b"add a 0 0 1 noreply\r\n1\r\n", b"incr a 1 noreply\r\n", b"incr b 1 noreply\r\n",
        b"decr a 1 noreply\r\n", b"touch a 0 noreply\r\n", b"touch b 0 noreply\r\n", b"delete a noreply\r\n",
        b"delete a noreply\r\n", b"cas a 0 0 1 5 noreply\r\n1\r\n", b"set a 0 0 2000000 noreply\r\n" + b"v" * 2_000_000 + b"\r\n",
        b"set a 0 0 1 noreply\r\n123\r\n", b"flush_all noreply\r\n", b"verbosity 0 noreply\r\n",
    ],
    "meta": [
        meta(b"a", b"1"), b"mg a\r\n", b"mg a v k t f s c\r\n", b"mg b v\r\n", b"mg a T30 v\r\n", b"mg b T30 v\r\n", b"mg b v q\r\n",
        meta(b"a", b"2", b"ME"), meta(b"b", b"2", b"ME"), meta(b"a", b"2", b"MA"), meta(b"c", b"2", b"MA"),
        meta(b"c", b"2", b"MA N30"), meta(b"c", b"2", b"MP"), meta(b"d", b"2", b"MR"), meta(b"a", b"2", b"C18446744073709551615"),
        meta(b"d", b"2", b"C18446744073709551615"), b"md a C18446744073709551615\r\n", b"md a I T30\r\n", b"mg a v c\r\n", b"mg a v c\r\n", b"md a\r\n", b"md a\r\n",
        b"md a q\r\n", b"mg x N30 v\r\n", b"mg x N30 v\r\n", b"mg x R100 v\r\n", b"ma n\r\n", b"ma n N0 J5\r\n", b"ma n D4\r\n",
        b"ma n MD D2\r\n", b"ma m MD\r\n", b"ma n C18446744073709551615\r\n", b"ma x\r\n", b"me n\r\n", b"me nosuch\r\n", b"mg n u v\r\n",
        meta(b"a", b"", b"I"), meta(b"a", b"3", b"q"), b"mg\r\n", b"mg a !\r\n", b"md b2\r\n",
    ],
    "values in pieces": [
        value(b"set", b"a", PIECES), b"get a\r\n", b"get a a\r\n", value(b"append", b"a", PIECES), value(b"prepend", b"a", b"1"),
        b"incr a 1\r\n", b"touch a 100\r\n", b"gat 0 a\r\n", value(b"cas", b"a", PIECES, tail=b" #CAS#"), value(b"add", b"a", PIECES),
        value(b"replace", b"a", b"small"), value(b"replace", b"a", PIECES), b"delete a\r\n", value(b"replace", b"a", PIECES),
        meta(b"a", PIECES), b"mg a v\r\n", b"md a\r\n", value(b"cas", b"a", PIECES, tail=b" 18446744073709551615"),
    ],
    "lines that are no command": [
        b"foo\r\n", b"get\r\n", b"get " + b"k" * 251 + b"\r\n", b"delete " + b"k" * 251 + b"\r\n", b"touch a x\r\n", b"incr a\r\n",
        b"gat x a\r\n", b"verbosity\r\n", b"version\r\n", b"stats nosuch\r\n", b"cache_memlimit 1\r\n",
    ],
}


def seeded(seed):
    """A session at random: some commands on few keys, most of them right."""
    chance = random.Random(seed)
    session = []
    for _ in range(COMMANDS_PER_SESSION):
        key = b"k%d" % chance.randrange(8)
        data = chance.choice([b"1", b"12", b"x" * 100, b"99999", b"", b"y" * 3000, PIECES])
        exptime = chance.choice([0, 0, 0, 100, 100_000, -1])
        verb = chance.choice([b"set", b"set", b"set", b"add", b"replace", b"append", b"prepend"])
        session.append(
            chance.choice([
                value(verb, key, data, chance.choice([0, 5]), exptime),
                value(verb, key, data, chance.choice([0, 5]), exptime),
                value(b"cas", key, data, 0, 0, chance.choice([b" #CAS#", b" 18446744073709551615"])),
                b"get %s k1 k2\r\n" % key, b"gets %s\r\n" % key, b"gat %d %s\r\n" % (exptime, key), b"touch %s %d\r\n" % (key, exptime),
                b"incr %s 1\r\n" % key, b"decr %s 3\r\n" % key, b"delete %s\r\n" % key, b"flush_all\r\n" if chance.random() < 0.1 else b"get nosuch\r\n",
                b"mg %s v t\r\n" % key, b"mg %s T%d v\r\n" % (key, exptime), b"mg %s N30 v\r\n" % key, b"mg %s R1000 v\r\n" % key,
                meta(key, data, chance.choice([b"", b"T100", b"ME", b"MA", b"MR", b"C18446744073709551615", b"MA N30"])),
                b"md %s\r\n" % key, b"md %s I T30\r\n" % key, b"ma %s\r\n" % key, b"ma %s N30 MD\r\n" % key,
                b"me %s\r\n" % key, value(b"set", key, TOO_LARGE) if chance.random() < 0.1 else b"set %s 0 0 1\r\n123\r\n" % key,
            ])
        )
    return session


def sums(lines):
    """Numbers summed over classes, by name."""
    total = {}
    for name, number in lines:
        total[name.split(":")[-1]] = total.get(name.split(":")[-1], 0) + int(number)
    return total


def differ(what, ours, theirs, names):
    """Lines for the names whose values are not the same."""
    return [f"{what} {name}: ours {ours.get(name)}, memcached's {theirs.get(name)}" for name in names if ours.get(name) != theirs.get(name)]


# Without `reclaimed` and `expired_unfetched`: see APART.
ITEMS = "number evicted evicted_nonzero outofmemory tailrepairs evicted_unfetched crawler_reclaimed lrutail_reflocked"
SLABS = "get_hits cmd_set delete_hits incr_hits decr_hits cas_hits cas_badval touch_hits free_chunks_end"


def compare(ours, theirs, traffic):
    """Everything that differs between two servers that have seen the same session."""
    found = []
    general = [dict(side.report()) for side in (ours, theirs)]
    # Of the report itself the question is read, and the answer not written yet, when it is made.
    report_len = sum(len(f"STAT {line} {number}\r\n") for line, number in general[0].items()) + len("END\r\n")
    expected = (ours.sent - traffic[0], ours.received - report_len - traffic[1])
    counted = (int(general[0]["bytes_read"]), int(general[0]["bytes_written"]))
    if counted != expected:
        found.append(f"bytes read and written: {counted} instead of {expected}")
    known = GENERAL_OLD | GENERAL_NEW if is_old(general[1]) else set()
    found += differ("stats", *general, [name for name in general[1] if name not in NOT_COMPARED | known])
    for report, names in ((b"items", ITEMS), (b"slabs", SLABS)):
        totals = [sums(side.report(report)) for side in (ours, theirs)]
        shared = [name for name in names.split() if name in totals[0] or name in totals[1]]
        found += differ(f"stats {report.decode()}", *totals, shared)
    return found


def names_and_settings(ours, theirs):
    """The names of all reports and their order; the values of the settings."""
    found = []
    for report in (b"", b"settings"):
        lines = [side.report(report) for side in (ours, theirs)]
        old = is_old(dict(theirs.report()))
        left_out = SETTINGS_BUILD if report else GENERAL_OLD | GENERAL_NEW if old else set()
        names = [[name for name, _ in side if name not in left_out] for side in lines]
        head = names[0][: len(names[1])]
        if head != names[1]:
            at = next((at for at, pair in enumerate(zip(head, names[1])) if pair[0] != pair[1]), len(head))
            found.append(f"stats {report.decode()}: line {at} is {head[at:at + 3]}, memcached's is {names[1][at:at + 3]}")
        if report:
            apart = SETTINGS_APART.keys() | SETTINGS_BUILD | (SETTINGS_OLD if old else set())
            compared = [name for name in names[1] if name not in apart]
            found += differ("stats settings", *map(dict, lines), compared)
    return found





def clean(ours, theirs):
    """Takes every key away and every count back; what was sent and received by then."""
    for side in (ours, theirs):
        # A get first: what it finds dead is gone, and is no delete that hits.
        side.play(0, b"get " + b" ".join(KEYS) + b"\r\n")
        for key in KEYS:
            side.play(0, b"delete %s\r\n" % key)
        side.ask(0, b"stats reset\r\n", b"RESET\r\n")
    return ours.sent, ours.received - len(b"RESET\r\n")


def attempt(ours, theirs, session):
    """Plays a session; what differs, or nothing at all if background work was in its way."""
    traffic = clean(ours, theirs)
    began = dict(ours.report())["uptime"]
    theirs.report()
    for number, command in enumerate(session):
        if command is PAUSE:
            time.sleep(PAUSE_SECONDS)
            began = dict(ours.report())["uptime"]
            continue
        for side in (ours, theirs):
            side.play(number % CONNECTIONS, command)
    for side in (ours, theirs):
        side.play(0, b"get " + b" ".join(KEYS) + b"\r\n")
    found = compare(ours, theirs, traffic)
    # In a pause it always moves something; such a session has no incr, which tells whether an item is held.
    stays_zero = TAKEN if PAUSE in session else TAKEN + HELD
    return None if is_disturbed(ours, theirs, began, stays_zero) else found


def is_disturbed(ours, theirs, began, stays_zero):
    """Whether background work was at the items of the session."""
    mine, numbers = dict(ours.report()), dict(theirs.report())
    if mine["uptime"] != began or mine["crawler_reclaimed"] != "0":
        return True
    # A class that memcached has taken its last page from is not shown any more.
    is_hidden = sums(theirs.report(b"slabs"))["cmd_set"] != int(numbers["cmd_set"])
    return is_hidden or any(numbers[name] != "0" for name in stays_zero)


def run(servers, name, session):
    """Plays one session until nothing is in its way; prints its line."""
    for number in range(1, ATTEMPTS_MAX + 1):
        found = attempt(*servers, session)
        if found is not None:
            break
        if number % ATTEMPTS_A_REST == 0:
            time.sleep(REST_SECONDS)
    else:
        found = [f"never without background work in {ATTEMPTS_MAX} attempts"]
    for line in found:
        print(f"  {line}")
    print(f"{'FAIL' if found else 'ok'} counters: {name}", flush=True)
    return not found


def known(session):
    """The commands of a session that the old release means as the new one does."""
    is_new = lambda command: command and any(words in command.split(b"\r\n")[0] + b"\r" for words in NEW_MEANING)
    return [command for command in session if not is_new(command)]


def play_all(seed):
    """All sessions, to one pair of servers."""
    options = ["-m", 64, "-t", 1]
    with Server(flagstone_binary(), *options) as here, Server(REFERENCE, *options) as there:
        servers = Side(here), Side(there)
        time.sleep(REST_SECONDS)
        old = is_old(dict(servers[1].report()))
        sessions = dict(SCRIPTS)
        sessions.update((f"seeded session {number}", seeded(seed * 100 + number)) for number in range(SEEDED_SESSIONS))
        passed = [run(servers, name, known(session) if old else session) for name, session in sessions.items()]
        for side in servers:
            side.close()
    return all(passed)


def main():
    words = sys.argv[1:]
    seed = int(words[0]) if words else random.SystemRandom().randrange(1 << 32)
    print(f"counters: seed {seed}, against {REFERENCE}", flush=True)
    with Server(flagstone_binary()) as here, Server(REFERENCE) as there:
        found = names_and_settings(Side(here), Side(there))
    for line in found:
        print(f"  {line}")
    print(f"{'FAIL' if found else 'ok'} counters: names and settings", flush=True)
    return 0 if play_all(seed) and not found else 1


if __name__ == "__main__":
    sys.exit(main())
