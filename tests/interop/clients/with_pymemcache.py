"""pymemcache: every command of its Client, its pool, hash ring and serde, against the server at argv[1]."""

from pymemcache import serde
from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheClientError, MemcacheIllegalInputError, MemcacheServerError

from surface import run, until


def storing(c):
    assert c.set("a", "1", noreply=False) and c.get("a") == b"1"
    assert c.add("a", "2", noreply=False) is False and c.add("b", "2", noreply=False)
    assert c.replace("b", "3", noreply=False) and c.replace("missing", "x", noreply=False) is False
    assert c.append("b", "4", noreply=False) and c.prepend("b", "2", noreply=False) and c.get("b") == b"234"
    assert c.append("missing", "4", noreply=False) is False
    assert c.get("missing") is None and c.get("missing", "default") == "default"


def compare_and_swap(c):
    c.set("a", "1", noreply=False)
    value, unique = c.gets("a")
    assert value == b"1" and unique.isdigit()
    assert c.cas("a", "2", unique, noreply=False) is True
    assert c.cas("a", "3", unique, noreply=False) is False
    assert c.cas("missing", "3", unique, noreply=False) is None
    assert c.gets_many(["a", "missing"])["a"][0] == b"2"


def many(c):
    assert c.set_many({f"m{i}": str(i) * i for i in range(200)}, noreply=False) == []
    assert c.get_many([f"m{i}" for i in range(250)]) == {f"m{i}": (str(i) * i).encode() for i in range(200)}
    assert c.delete_many([f"m{i}" for i in range(100)], noreply=False)
    assert len(c.get_many([f"m{i}" for i in range(200)])) == 100


def counting(c):
    c.set("n", "10", noreply=False)
    assert c.incr("n", 5) == 15 and c.decr("n", 6) == 9 and c.decr("n", 100) == 0
    assert c.incr("missing", 1) is None
    c.set("n", "text", noreply=False)
    try:
        c.incr("n", 1)
        raise AssertionError("a text was counted")
    except MemcacheClientError:
        pass


def expiring(c):
    c.set("t", "1", expire=1, noreply=False)
    c.set("u", "1", expire=1, noreply=False)
    assert c.touch("u", 100, noreply=False) and not c.touch("missing", 1, noreply=False)
    until(lambda: c.get("t") is None)
    assert c.get("u") == b"1"
    c.set("v", "1", expire=-1, noreply=False)
    assert c.get("v") is None


def deleting(c):
    c.set("a", "1", noreply=False)
    assert c.delete("a", noreply=False) and not c.delete("a", noreply=False)
    c.set("a", "1", noreply=False)
    assert c.flush_all(noreply=False) and c.get("a") is None


def quietly(c):
    for value in range(500):
        c.set(f"q{value % 7}", str(value), noreply=True)
    assert c.get("q2") == b"499"
    c.set("n", "1", noreply=True)
    c.incr("n", 1, noreply=True)
    c.touch("n", 100, noreply=True)
    c.append("n", "0", noreply=True)
    assert c.get("n") == b"20"
    c.delete("n", noreply=True)
    c.cas("n", "1", "1", noreply=True)
    assert c.get("n") is None


def values(c):
    for size in (0, 1, 100, 16_384, 100_000, 1_000_000):
        data = bytes(i * 7 % 256 for i in range(size % 5000)) * 1 + b"\r\n\0" * (size // 3)
        c.set("big", data, noreply=False)
        assert c.get("big") == data, size
    try:
        c.set("big", b"x" * 1_100_000, noreply=False)
        raise AssertionError("a value over the limit was stored")
    except MemcacheServerError:
        pass
    assert c.get("big") is None, "the old value goes with a value too large"


def refused_keys(c):
    for key in ("k" * 251, "with space", "line\nend"):
        try:
            c.get(key)
            raise AssertionError(f"{key!r} was taken")
        except MemcacheIllegalInputError:
            pass
    c.set("k" * 250, "1", noreply=False)
    assert c.get("k" * 250) == b"1"


def administration(c):
    version = c.version()
    assert version.startswith(b"1.6."), version
    stats = c.stats()
    assert int(stats[b"pid"]) > 0 and stats[b"version"] == version and int(stats[b"curr_connections"]) > 0
    assert isinstance(c.stats("settings")[b"maxbytes"], (int, bytes))
    assert isinstance(c.stats("items"), dict) and isinstance(c.stats("slabs"), dict)
    assert c.verbosity(0) if hasattr(c, "verbosity") else True
    c.quit()


def objects(c):
    address = (c.server[0], c.server[1])
    objects = Client(address, serde=serde.pickle_serde)
    for value in ("caf\u00e9", 7, b"bytes", {"a": [1, 2, (3, None)]}, 1.5):
        objects.set("o", value, noreply=False)
        assert objects.get("o") == value
    small = Client(address, serde=serde.CompressedSerde(min_compress_len=10))
    small.set("z", "text" * 10_000, noreply=False)
    assert small.get("z") == "text" * 10_000 and len(c.get("z")) < 1000
    unicode = Client(address, allow_unicode_keys=True, encoding="utf8")
    unicode.set("cl\u00e9", "1", noreply=False)
    assert unicode.get("cl\u00e9") == b"1"


def pools_and_rings(c):
    address = (c.server[0], c.server[1])
    for other in (PooledClient(address, max_pool_size=4), HashClient([address], use_pooling=True)):
        assert other.set_many({f"p{i}": "v" for i in range(50)}, noreply=False) == []
        assert len(other.get_many([f"p{i}" for i in range(50)])) == 50
        assert other.set("p", "1", noreply=False) and other.get("p") == b"1" and other.delete("p", noreply=False)


if __name__ == "__main__":
    tests = [storing, compare_and_swap, many, counting, expiring, deleting, quietly, values, refused_keys,
             administration, objects, pools_and_rings]
    run("pymemcache", tests, lambda host, port: Client((host, port), timeout=10))
