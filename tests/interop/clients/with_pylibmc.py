"""pylibmc (libmemcached): its whole surface against the server at argv[1]; argv[2] may be `binary`."""

import sys

import pylibmc

from surface import run, until


def refused(call):
    """Whether a call says so, or raises: which one, the protocol decides."""
    try:
        return not call()
    except pylibmc.NotFound:
        return True


def storing(c):
    assert c.set("a", "1") and c.get("a") == "1"
    assert not c.add("a", "2") and c.delete("a") and c.add("a", "2")
    assert c.replace("a", "3") and refused(lambda: c.replace("missing", "x"))
    c.set("b", b"3")
    assert c.append("b", b"4") and c.prepend("b", b"2") and c.get("b") == b"234"
    assert c.get("missing") is None and c.get("missing", 5) == 5
    assert not c.delete("missing") and "a" in c and "missing" not in c
    c["m"] = 1
    assert c["m"] == 1
    del c["m"]


def compare_and_swap(c):
    c.behaviors["cas"] = True
    c.set("a", 1)
    value, unique = c.gets("a")
    assert value == 1 and c.cas("a", 2, unique) and not c.cas("a", 3, unique) and c.get("a") == 2


def many(c):
    c.delete_multi([f"m{i}" for i in range(300)])
    assert c.set_multi({f"m{i}": i for i in range(200)}, time=1000, key_prefix="p:") == []
    assert c.get_multi([f"m{i}" for i in range(250)], key_prefix="p:") == {f"m{i}": i for i in range(200)}
    assert c.add_multi({f"a{i}": i for i in range(20)}) == []
    assert c.incr_multi([f"a{i}" for i in range(20)], delta=2) is None and c.get("a3") == 5
    assert c.delete_multi([f"a{i}" for i in range(20)]) and c.get("a3") is None


def counting(c):
    c.set("n", 10)
    assert c.incr("n", 5) == 15 and c.decr("n", 6) == 9 and c.decr("n", 100) == 0
    try:
        c.incr("missing")
        raise AssertionError("a missing key was counted")
    except pylibmc.NotFound:
        pass


def expiring(c):
    c.set("t", 1, time=1)
    c.set("u", 1, time=1)
    assert c.touch("u", 100) and not c.touch("missing", 1)
    until(lambda: c.get("t") is None)
    assert c.get("u") == 1


def values(c):
    for value in ("caf\u00e9", b"\0\r\n\xff", True, 7, 1 << 70, {"a": [1, (2, None)]}, 1.5):
        c.set("o", value)
        assert c.get("o") == value, value
    text = b"text\r\n" * 60_000
    assert c.set("z", text, min_compress_len=100, compress_level=6) and c.get("z") == text
    data = bytes(range(256)) * 4000
    assert c.set("big", data) and c.get("big") == data
    try:
        c.set("big", b"x" * 1_100_000)
        raise AssertionError("a value over the limit was stored")
    except pylibmc.TooBig:
        pass
    assert c.set("k" * 250, 1) and c.get("k" * 250) == 1


def administration(c):
    (address, stats), = c.get_stats()
    assert int(stats["pid" if "pid" in stats else b"pid"]) > 0
    (_, settings), = c.get_stats("settings")
    assert settings
    c.set("a", 1)
    assert c.flush_all() and c.get("a") is None
    c.disconnect_all()
    assert c.set("a", 1)


def behaviours(c):
    for change in ({"no_block": True}, {"_noreply": True}, {"tcp_nodelay": False}, {"ketama": True}):
        other = c.clone()
        other.behaviors.update(change)
        for i in range(100):
            other.set(f"b{i}", i)
        assert other.get_multi([f"b{i}" for i in range(100)]) == {f"b{i}": i for i in range(100)}, change


def pools(c):
    pool = pylibmc.ClientPool(c, 3)
    with pool.reserve() as one, pool.reserve() as two:
        one.set("p", 1)
        assert two.get("p") == 1


BINARY = "binary" in sys.argv[2:]


def start(host, port):
    return pylibmc.Client([f"{host}:{port}"], binary=BINARY, behaviors={"tcp_nodelay": True})


if __name__ == "__main__":
    tests = [storing, compare_and_swap, many, counting, expiring, values, administration, behaviours, pools]
    run("pylibmc binary" if BINARY else "pylibmc", tests, start)
