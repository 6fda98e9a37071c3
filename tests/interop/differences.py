"""Everything that may differ between Flagstone and memcached, by name.

Debian's memcached is 1.6.18; Flagstone follows 1.6.45, whose parser is a new
one. A frame of commands that falls under a rule below carries the replies that
1.6.45's rules call for, and Flagstone is held to those; everything else has to
be the same byte for byte. When the two servers are of one version no rule
applies; rules with `until` hold against older oracles only. At most 15 entries.

`cites` names the section and line of the description of memcached 1.6.45's
behaviour that decides.
"""

from dataclasses import dataclass

ENTRIES_MAX = 15

# The release whose behaviour Flagstone has.
FULL = (1, 6, 45)


@dataclass(frozen=True)
class Difference:
    """One allowed difference: what Flagstone does, and by which authority."""

    name: str
    flagstone: str
    memcached: str
    cites: str
    # From this release on memcached does as Flagstone: the two are then compared as for any other command.
    until: tuple = None


TABLE = [
    Difference(
        "version-text",
        "`VERSION 1.6.45` is not the release that is asked",
        "its own",
        "3 Classic commands: version",
    ),
    Difference(
        "cas-unique",
        "its own unique numbers; what is compared is which are the same",
        "its own, counted up from 1",
        "3 Classic commands: gets, cas",
    ),
    Difference(
        "bad-key-in-get",
        "`CLIENT_ERROR bad command line format` after the values of the keys before it",
        "drops the values of this line (1.6.45: and those queued before, and adds a blank line)",
        "2 Text protocol: key, the marked quirk",
    ),
    Difference(
        "too-few-words",
        "a known command with too few words, or a line under 4 bytes with its end: `CLIENT_ERROR bad command line format`",
        "1.6.18: `ERROR`, and `END` for a gat without keys",
        "2 Text protocol: known command, too few words; line shorter than 4 bytes",
        until=FULL,
    ),
    Difference(
        "leading-space",
        "`ERROR`, and a data block after it is read as commands",
        "1.6.18 skips leading spaces",
        "2 Text protocol: separators",
        until=FULL,
    ),
    Difference(
        "extra-words",
        "ignored, for all classic commands",
        "1.6.18: `ERROR`, and delete explains its usage",
        "2 Text protocol: extra words after what a command needs",
        until=FULL,
    ),
    Difference(
        "bad-field-swallows-data",
        "a bad flags, exptime, cas unique or key in a storage line: the error, the data is swallowed",
        "1.6.18 reads the data as commands, or closes when it is large",
        "2 Text protocol: key; Numbers and times: flags, cas unique; 3 set",
        until=FULL,
    ),
    Difference(
        "number-grammar",
        "bytes, unique, delta and the exptimes of touch, gat, flush_all: digits only, in range",
        "1.6.18 takes a plus sign, a tab, and exptimes beyond 32 bits",
        "2 Numbers and times: exptime, bytes, cas unique, delta",
        until=FULL,
    ),
    Difference(
        "noreply-position",
        "noreply is the last word, whatever it stands for; a line too short to parse is answered",
        "1.6.18 wants it at the position it knows, and hides errors in bytes",
        "2 Text protocol: noreply",
        until=FULL,
    ),
    Difference(
        "noreply-unknown",
        "an unknown command ending in noreply: `ERROR` or nothing",
        "1.6.18: `ERROR`; 1.6.45: nothing",
        "2 Text protocol: unknown command, the marked quirk",
    ),
    Difference(
        "nul-in-line",
        "NUL is a byte like others in a key",
        "1.6.18 ends the line there",
        "2 Text protocol: key, any byte but space and LF",
        until=FULL,
    ),
    Difference(
        "chunked-number",
        "a value in chunks, some 16 KiB and more, is no number to incr and decr, whatever it begins with",
        "keeps values in one piece up to 512 KB",
        "3 Classic commands: incr, decr, chunked items",
    ),
    Difference(
        "huge-number",
        "incr and decr take stored numbers up to 2^64 - 1",
        "1.6.18 looks for a minus sign behind numbers from 2^63 and may refuse them, by what memory holds there",
        "3 Classic commands: incr, decr",
        until=FULL,
    ),
    Difference(
        "meta-accidents",
        "a key's base64 mark, and T, E and stale when a number grows, are kept; a time that has passed is `t0`; "
        "a bad `O` and bad base64 are refused first; `E0` is no number; `me KEY b` works; `me` shows its own class and size",
        "loses or ignores them, by accident (src/docs/differences.md names each)",
        "4 Meta commands: the marked quirks",
    ),
    Difference(
        "meta-news",
        "E, x, N and s of ms, C of mg, too few words, keys too long: as 1.6.45",
        "1.6.18 does not know them: they are not sent to it",
        "4 Meta commands: the flags",
        until=FULL,
    ),
]

NAMES = {entry.name: entry for entry in TABLE}

assert len(TABLE) <= ENTRIES_MAX
assert len(NAMES) == len(TABLE)
