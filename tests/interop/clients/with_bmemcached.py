"""python-binary-memcached (binary protocol alone): its whole surface against the server at argv[1]."""

import bmemcached
from bmemcached.exceptions import MemcachedException

from surface import run, until


def storing(c):
    assert c.set("a", "1") and c.get("a") == "1"
    assert not c.add("a", "2") and c.delete("a") and c.add("a", "2")
    assert c.replace("a", "3") and not c.replace("missing", "x")
    assert c.get("missing") is None and c.get("missing", 5) == 5
    assert c.set("a", "1") and c.delete("a") and c.get("a") is None


def compare_and_swap(c):
    c.set("a", "1")
    value, unique = c.gets("a")
    assert value == "1" and c.cas("a", "2", unique) and not c.cas("a", "3", unique) and c.get("a") == "2"
    assert c.delete("a", cas=c.gets("a")[1]) and c.get("a") is None


def many(c):
    items = {f"m{i}": i for i in range(200)}
    assert c.set_multi(items, 1000) == []
    assert c.get_multi([*items, "missing"]) == items
    assert all(len(found) == 2 for found in c.get_multi(["m1", "m2"], get_cas=True).values())
    assert c.delete_multi(["m1", "m2"]) and c.get_multi(["m1", "m2", "m3"]) == {"m3": 3}


def counting(c):
    c.delete("n")
    assert c.incr("n", 5, default=10) == 10 and c.incr("n", 5) == 15
    assert c.decr("n", 6) == 9 and c.decr("n", 100) == 0


def expiring(c):
    c.set("t", "x", time=1)
    until(lambda: c.get("t") is None)


def values(c):
    for value in ("caf\u00e9", b"\0\r\n\xff", 7, 1 << 70, {"a": [1, (2, None)]}, 1.5):
        assert c.set("o", value) and c.get("o") == value, value
    for length in (0, 1, 16_384, 16_385, 900_000):
        data = bytes(range(256)) * (length // 256 + 1)
        assert c.set("big", data[:length], compress_level=0) and c.get("big") == data[:length], length
    try:
        c.set("big", bytes(1_100_000), compress_level=0)
        raise AssertionError("a value over the limit was stored")
    except MemcachedException as refused:
        assert refused.code == 3, refused
    assert c.set("k" * 250, "y") and c.get("k" * 250) == "y"


def administration(c):
    (stats,) = c.stats().values()
    assert int(stats["pid"]) > 0 and stats["version"].startswith(b"1.6.")
    assert c.set("a", "1") and c.flush_all() and c.get("a") is None
    c.disconnect_all()
    assert c.set("a", "1") and c.get("a") == "1"


def start(host, port):
    return bmemcached.Client([f"{host}:{port}"])


if __name__ == "__main__":
    tests = [storing, compare_and_swap, many, counting, expiring, values, administration]
    run("python-binary-memcached", tests, start)
