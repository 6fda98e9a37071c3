"""python-memcached: its whole surface against the server at argv[1]."""

import memcache

from surface import run, until


def storing(c):
    assert c.set("a", "1") and c.get("a") == "1"
    assert not c.add("a", "2") and c.add("fresh", "2")
    assert c.replace("a", "3") and not c.replace("missing", "x")
    c.set("b", "3")
    assert c.append("b", "4") and c.prepend("b", "2") and c.get("b") == "234"
    assert c.get("missing") is None and c.get("missing", 5) == 5


def compare_and_swap(c):
    c.set("a", 1)
    assert c.gets("a") == 1 and c.cas("a", 2)
    other = memcache.Client([c.address], cache_cas=True)
    assert c.gets("a") == 2
    other.set("a", 9)
    assert not c.cas("a", 3) and c.get("a") == 9


def many(c):
    assert c.set_multi({f"m{i}": i for i in range(200)}, time=1000, key_prefix="p:") == []
    assert c.get_multi([f"m{i}" for i in range(250)], key_prefix="p:") == {f"m{i}": i for i in range(200)}
    assert c.delete_multi([f"m{i}" for i in range(200)], key_prefix="p:") == 1
    assert c.get_multi(["m1", "m2"], key_prefix="p:") == {}
    assert c.set_multi({f"q{i}": i for i in range(50)}, noreply=True) == [] and c.get("q49") == 49


def counting(c):
    c.set("n", 10)
    assert c.incr("n", 5) == 15 and c.decr("n", 6) == 9 and c.decr("n", 100) == 0
    assert c.incr("missing") is None
    assert c.incr("n", 3, noreply=True) is None and c.get("n") is not None
    try:
        c.incr("n", -1)
        raise AssertionError("a negative delta was taken")
    except ValueError:
        pass


def expiring(c):
    c.set("t", 1, time=1)
    c.set("u", 1, time=1)
    assert c.touch("u", 100) and not c.touch("missing", 1)
    until(lambda: c.get("t") is None)
    assert c.get("u") == 1
    c.set("v", 1, time=-1)
    assert c.get("v") is None


def deleting(c):
    c.set("a", 1)
    assert c.delete("a") == 1 and c.get("a") is None
    c.delete("a")
    c.set("a", 1)
    c.delete("a", noreply=True)
    assert c.get("a") is None
    c.set("a", 1)
    c.flush_all()
    assert c.get("a") is None


def values(c):
    for value in ("caf\u00e9", b"\0\r\n\xff", 7, 1 << 70, {"a": [1, (2, None)]}, 1.5, True):
        assert c.set("o", value) and c.get("o") == value, value
    text = "text\r\n" * 60_000
    assert c.set("z", text, min_compress_len=100) and c.get("z") == text
    assert c.set("big", b"\r\n" * 500_000) and c.get("big") == b"\r\n" * 500_000
    assert c.set("k" * 250, 1) and c.get("k" * 250) == 1
    assert c.set("cl\u00e9", 1) and c.get("cl\u00e9") == 1


def administration(c):
    (address, stats), = c.get_stats()
    assert int(stats["pid"]) > 0 and stats["version"].startswith("1.6.")
    assert c.get_stats("settings")[0][1]["maxbytes"]
    c.set("a", "x" * 100)
    slabs = c.get_slab_stats()
    assert slabs and "active_slabs" in slabs[0][1]
    c.disconnect_all()
    assert c.set("a", 1)


def start(host, port):
    client = memcache.Client([f"{host}:{port}"], cache_cas=True)
    client.address = f"{host}:{port}"
    client.flush_all()
    return client


if __name__ == "__main__":
    run("python-memcached", [storing, compare_and_swap, many, counting, expiring, deleting, values, administration], start)
