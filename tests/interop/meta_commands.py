"""Makes random meta commands, for the generator in commands.py: flags valid and not, over the same keys as the classic ones.

What memcached does by accident is left alone here, by the name "meta-accidents" in
differences.py; what an older oracle does not know is not sent to it.
"""

import base64

from templates import Cas

# Given in base64 always. Some are only set, fetched and deleted: memcached loses their mark otherwise.
BINARY_KEYS = [b"bin%d\x00\xff \r" % i for i in range(4)]
BINARY_MARKED = BINARY_KEYS[:2]
BINARY_NAMES = [base64.b64encode(key) for key in BINARY_KEYS]

# Far from each other and from any time to live, so that no second decides.
TTLS = [b"0", b"100000", b"100000", b"2592000", b"-1"]
RECACHE_TTLS = [b"0", b"30", b"50000", b"200000", b"3000000", b"-1"]
# Above whatever a server counts up to, so that both order them alike.
EXPLICIT_UNIQUES = [b"9300000000000000000", b"9300000000000000001", b"18446744073709551615"]
OPAQUES = [b"O1", b"O", b"Oabc", b"O" + b"x" * 31, b"O\xff", b"Oc5", b"O-"]
BAD_TOKENS_SHARED = [b"T", b"Tx", b"T1x", b"N", b"Nx", b"Rx", b"R", b"Cx", b"C-1", b"C"]
BAD_TOKENS_FULL = [b"T2147483648", b"N99999999999", b"C18446744073709551616", b"E", b"Ex", b"E-1", b"T+1", b"T1.5"]
UNKNOWN_LETTERS = [b"S5", b"z", b"Y", b"S"]
NO_LETTERS = [b"!", b"1", b"="]

GET_FLAGS = b"c f h k l s t v v v".split()
DATA_LENGTHS_BAD = [b"x", b"-1", b"1x", b"2147483647", b"99999999999999999999999", b"1.0"]


class MetaCommands:
    """Commands from the generator's own randomness and keys; `full`: the oracle knows all flags."""

    def __init__(self, generator, full):
        self.generator, self.random, self.full = generator, generator.random, full

    def kinds(self):
        return [(self.get, 130), (self.set, 150), (self.delete, 40), (self.arithmetic, 70), (self.noop, 10),
                (self.debug, 10 * self.full), (self.invalid, 25), (self.invalid_set, 10), (self.stampede, 12)]

    # Pieces of lines.

    def some(self, flags, least=0):
        """Some of the flags, each once, in any order."""
        return self.random.sample(flags, self.random.randint(least, len(flags)))

    def chance(self, share):
        return self.random.random() < share

    def line(self, *words):
        return b" ".join(words) + self.generator.end()

    def shared(self):
        """Flags that any command takes."""
        flags = self.some([b"k", self.random.choice(OPAQUES)])
        if self.full and self.chance(0.1):
            flags.append(self.random.choice([b"L", b"P", b"Lpath", b"P1"]))
        return flags

    def quiet(self):
        return [b"q"] if self.chance(0.15) else []

    def plain_key(self):
        return self.random.choice(self.generator.fetched)

    def explicit(self, share=0.1):
        return [b"E" + self.random.choice(EXPLICIT_UNIQUES)] if self.full and self.chance(share) else []

    def with_unique(self, verb, key, words, after=b"", share=0.3):
        """The line, sometimes with a `C` whose number is filled in for each server."""
        self.random.shuffle(words)
        if not self.chance(share):
            return b" ".join([*verb, *words]) + self.generator.end() + after
        which = self.random.choice(["last", "last", "last", "lower", "higher"])
        tail = b"".join(b" " + word for word in words) + self.generator.end() + after
        return Cas(b" ".join([*verb, b"C"]), key, tail, which)

    # Commands.

    def get(self):
        if self.chance(0.1):
            return self.get_binary()
        flags = self.some(GET_FLAGS + [b"u"]) + self.shared() + self.quiet()
        # Twice the same letter would be an error.
        flags = list(dict.fromkeys(flags))
        flags += [flag for flag, share in ((b"T" + self.random.choice(TTLS), 0.15), (b"N" + self.random.choice(TTLS[:4]), 0.2),
                                           (b"R" + self.random.choice(RECACHE_TTLS), 0.2)) if self.chance(share)]
        flags += self.explicit()
        self.random.shuffle(flags)
        key = self.plain_key()
        if self.full and b"v" in flags and self.chance(0.1):
            return self.with_unique([b"mg", key], key, flags, share=1)
        return self.line(b"mg", key, *flags)

    def get_binary(self):
        key = self.random.choice(BINARY_MARKED)
        flags = list(dict.fromkeys(self.some([b"c", b"f", b"s", b"t", b"v"]) + self.shared() + [b"b"]))
        self.random.shuffle(flags)
        return self.line(b"mg", base64.b64encode(key), *flags)

    def set(self):
        generator = self.generator
        key = self.random.choice(BINARY_KEYS) if self.chance(0.1) else generator.key()
        flags = self.shared() + self.quiet() + self.explicit() + ([b"c"] if self.chance(0.5) else [])
        if self.full and self.chance(0.2):
            flags.append(b"s")
        for flag, share in ((b"T" + self.random.choice(TTLS), 0.3), (b"F" + self.random.choice([b"0", b"7", b"4294967295"]), 0.3)):
            flags += [flag] if self.chance(share) else []
        modes = [b"E", b"A", b"P", b"R", b"S", b"S"] + ([b"ADD", b"EX"] if self.full else [])
        mode = self.random.choice(modes) if self.chance(0.5) else b""
        if mode:
            flags.append(b"M" + mode)
        if self.full and mode[:1] in (b"A", b"P") and self.chance(0.4):
            flags.append(b"N" + self.random.choice(TTLS[:4]))
        value = generator.value(key) if mode[:1] not in (b"A", b"P") else generator.piece(key)
        # A number's mark would have to outlive memcached's incr.
        if mode[:1] in (b"", b"S") and key not in generator.counted + generator.numbers and self.chance(0.2):
            flags.append(b"I")
        name = key
        if key in BINARY_KEYS:
            name = base64.b64encode(key)
            flags = [flag for flag in flags if flag[:1] not in b"kMN"] + [b"b"]
        return self.with_unique([b"ms", name, b"%d" % len(value)], key, flags, value + b"\r\n", 0.25)

    def delete(self):
        generator = self.generator
        key = generator.key()
        flags = self.shared() + self.quiet()
        if key not in generator.counted + generator.numbers and self.chance(0.4):
            flags += [b"I"] + ([b"T" + self.random.choice(TTLS)] if self.chance(0.5) else []) + self.explicit(0.2)
        elif self.full and self.chance(0.2):
            flags += [b"x"] + ([b"F9"] if self.chance(0.3) else [])
        return self.with_unique([b"md", key], key, flags, share=0.2)

    def arithmetic(self):
        """Beside `T` and `E` only downwards: memcached forgets them when a number grows."""
        key = self.random.choice(self.generator.counted)
        flags = self.some([b"t", b"c", b"v"]) + self.shared() + self.quiet()
        modes = [b"I", b"+", b"D", b"-", b""] if not self.chance(0.2) else [b"D", b"-"]
        modes += [mode + b"X" for mode in modes if mode] if self.full else []
        mode = self.random.choice(modes)
        flags += [b"M" + mode] if mode else []
        if b"I" not in modes:
            flags += ([b"T" + self.random.choice(TTLS[:4])] if self.chance(0.5) else []) + self.explicit(0.3)
        if self.chance(0.4):
            flags.append(b"D" + self.random.choice([b"1", b"0", b"7", b"100", b"4294967296"]))
        # 1.6.18 is not quiet about a number it makes.
        if self.chance(0.3) and (self.full or b"q" not in flags):
            flags.append(b"N" + self.random.choice(TTLS[:4]))
        if self.chance(0.2):
            flags.append(b"J" + self.random.choice([b"0", b"13", b"999999999999"]))
        return self.with_unique([b"ma", key], key, list(dict.fromkeys(flags)), share=0.1)

    def noop(self):
        return self.random.choice([b"mn\r\n", b"mn \r\n", b"mn x\r\n"] if self.full else [b"mn\r\n"])

    def debug(self):
        return self.line(b"me", self.plain_key())

    def stampede(self):
        """Several clients' worth of fetches of a stale or missing item in one go: one of them wins."""
        key = self.random.choice([key for key in self.generator.fetched if key not in self.generator.numbers])
        first = self.random.choice([b"md %s I T30000\r\n", b"md %s q\r\n", b"ms %s 2 T20000\r\nxy\r\n"]) % key
        fetch = b"mg %s %s\r\n" % (key, self.random.choice([b"v N100000", b"s R50000", b"v t N100000 R50000", b"f s"]))
        return first + fetch * self.random.randint(2, 5)

    # What is refused.

    def bad_flags(self, letters=b""):
        """Flags of which one is wrong."""
        tokens = BAD_TOKENS_SHARED + (BAD_TOKENS_FULL if self.full else [])
        wrong = self.random.choice([[self.random.choice(UNKNOWN_LETTERS + NO_LETTERS * self.full)], [b"k", b"k"], [self.random.choice(tokens)]])
        # An error in the middle: what comes before has had no effect.
        return [b"k"] * (wrong != [b"k", b"k"]) + wrong + ([b"q"] if self.chance(0.3) else [])

    def invalid(self):
        verb = self.random.choice([b"mg"] + ([b"md", b"ma"] if self.full else []))
        key = self.plain_key() if verb != b"ma" else self.random.choice(self.generator.counted)
        if self.full and self.chance(0.2):
            return self.line(verb, *self.random.choice([[], [b"K" * 251], [b"K" * 600, b"v"], [b"Zm9", b"b"], [b"Z!==", b"b", b"k"]]))
        if verb == b"ma" and self.chance(0.4):
            return self.line(verb, key, self.random.choice([b"Mx", b"MZ", b"M", b"Dx", b"Jx", b"D-1", b"D", b"J"]))
        if self.full and self.chance(0.1):
            return self.line(verb, key, *(b"%c" % letter for letter in b"kOqvtscfhlu" * 2))
        return self.line(verb, key, *self.bad_flags())

    def invalid_set(self):
        """The data is swallowed when its length could be read, and is read as commands otherwise."""
        key, data = self.generator.key(), b"junkjunk\r\n" * self.random.choice([1, 1, 2, 40])
        size = b"%d" % (len(data) - 2)
        if self.full and self.chance(0.3):
            return self.line(b"ms", key, self.random.choice(DATA_LENGTHS_BAD)) + b"datablock\r\n"
        if self.full and self.chance(0.2):
            return self.line(b"ms", b"K" * 251, size) + data
        wrong = self.random.choice([[b"Mx"], [b"Ma"], [b"M"], [b"Fx"], [b"F-1"], [b"F4294967296"]] if self.full else [[b"Mx"]])
        return self.line(b"ms", key, size, *(wrong if self.chance(0.4) else self.bad_flags())) + data
