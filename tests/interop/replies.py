"""Cuts a stream of memcached replies into units, and makes them comparable.

A unit is one reply: a line, or `VALUE` lines with their data. Values are taken
by their length, so nothing inside them is mistaken for a line. The two things
every pair of servers differs in are replaced here: the version's text, and the
cas uniques, each by the order in which that server first showed it.
"""


class Uniques:
    """One server's cas uniques: their order of appearance, and the last one of each key."""

    def __init__(self):
        self.order = {}
        self.last = {}

    def ordinal(self, key, unique):
        self.last[key] = unique
        return self.order.setdefault(unique, len(self.order))


def units(stream, uniques):
    """The replies in `stream`, normalised, and whether it ended at a reply's end."""
    found, at = [], 0
    while at < len(stream):
        end = stream.find(b"\r\n", at)
        if end < 0:
            return [*found, stream[at:]], False
        line, start, at = stream[at:end], at, end + 2
        if line.startswith(b"VALUE "):
            _, key, flags, size, *unique = line.split(b" ")
            data_end = at + int(size)
            if stream[data_end : data_end + 2] != b"\r\n":
                return [*found, stream[start:]], False
            if unique:
                line = b"VALUE %s %s %s #%d" % (key, flags, size, uniques.ordinal(key, unique[0]))
            found.append(line + b"\r\n" + stream[at : data_end + 2])
            at = data_end + 2
        elif line.startswith(b"VERSION "):
            found.append(b"VERSION\r\n")
        else:
            found.append(line + b"\r\n")
    return found, True


def frames(found):
    """The units between one version reply and the next; the last part has none after it."""
    parts = [[]]
    for unit in found:
        if unit == b"VERSION\r\n":
            parts.append([])
        else:
            parts[-1].append(unit)
    return parts
