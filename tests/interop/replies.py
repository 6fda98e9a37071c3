"""Cuts a stream of memcached replies into units, and makes them comparable.

A unit is one reply: a line, or a `VALUE` or `VA` line with its data. Values are
taken by their length, so nothing inside them is mistaken for a line. What every
pair of servers differs in is replaced here: the version's text, the cas
uniques, each by the order in which that server first showed it, and what `me`
says of a server's own insides. Times to live may differ by a second or two.
"""

import base64
import binascii
import re

SECONDS_APART_MAX = 2
TIME = re.compile(rb"(t|exp=)(\d+)$")
INSIDES = re.compile(rb" (la|cls|size)=\d+")


class Uniques:
    """One server's cas uniques: their order of appearance, and the last one of each key."""

    def __init__(self):
        self.order = {}
        self.last = {}

    def ordinal(self, key, unique):
        if key is not None:
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
        elif line.startswith(b"VA "):
            data_end = at + int(line.split(b" ")[1])
            if stream[data_end : data_end + 2] != b"\r\n":
                return [*found, stream[start:]], False
            found.append(meta_line(line, uniques) + b"\r\n" + stream[at : data_end + 2])
            at = data_end + 2
        elif line[:3] in META_CODES:
            found.append(meta_line(line, uniques) + b"\r\n")
        elif line.startswith(b"ME "):
            found.append(debug_line(line, uniques) + b"\r\n")
        elif line.startswith(b"VERSION "):
            found.append(b"VERSION\r\n")
        else:
            found.append(line + b"\r\n")
    return found, True


META_CODES = (b"HD ", b"NS ", b"EX ", b"NF ", b"EN ")


def meta_line(line, uniques):
    """A meta reply's line; the key it names, if any, is the one its cas unique belongs to."""
    words = line.split(b" ")
    key = next((word[1:] for word in words if word[:1] == b"k"), None)
    if key is not None and b"b" in words:
        try:
            key = base64.b64decode(key, validate=True)
        except binascii.Error:
            pass
    for place, word in enumerate(words[1:], 1):
        if word[:1] == b"c" and word[1:].isdigit() and word != b"c0":
            words[place] = b"c#%d" % uniques.ordinal(key, word[1:])
        elif word[:1] == b"t" and word[1:].isdigit() and int(word[1:]) >= 1 << 31:
            words[place] = b"t0"  # A time that has passed: see the difference "meta-accidents".
        elif word[:1] == b"l" and word[1:].isdigit():
            words[place] = b"l"
    return b" ".join(words)


def debug_line(line, uniques):
    """What `me` says, without what is a server's own."""
    head, cas, tail = line.partition(b" cas=")
    unique, rest = tail.split(b" ", 1)
    ordinal = uniques.ordinal(None, unique)
    return INSIDES.sub(b"", head) + cas + b"#%d" % ordinal + INSIDES.sub(b"", b" " + rest)


def alike(mine, theirs):
    """Whether two servers' units are the same but for seconds that passed between them."""
    if mine == theirs:
        return True
    return len(mine) == len(theirs) and all(unit_alike(*pair) for pair in zip(mine, theirs))


def unit_alike(mine, theirs):
    if mine == theirs:
        return True
    (line, _, data), (other_line, _, other_data) = mine.partition(b"\r\n"), theirs.partition(b"\r\n")
    words, others = line.split(b" "), other_line.split(b" ")
    return data == other_data and len(words) == len(others) and all(word_alike(*pair) for pair in zip(words, others))


def word_alike(mine, theirs):
    if mine == theirs:
        return True
    one, other = TIME.match(mine), TIME.match(theirs)
    if not one or not other or one[1] != other[1]:
        return False
    return abs(int(one[2]) - int(other[2])) <= SECONDS_APART_MAX


def frames(found):
    """The units between one version reply and the next; the last part has none after it."""
    parts = [[]]
    for unit in found:
        if unit == b"VERSION\r\n":
            parts.append([])
        else:
            parts[-1].append(unit)
    return parts
