"""Ways to damage a finished folder; each returns the names of changed files."""

import pathlib
import random
import struct

_LENGTH_AND_ITS_CRC, _CRC = 12, 4


def record_starts(path: pathlib.Path) -> list[int]:
    """Returns where the records of a TFRecord file begin, and where the last ends."""
    content, starts = path.read_bytes(), [0]
    while starts[-1] < len(content):
        (length,) = struct.unpack_from("<Q", content, starts[-1])
        starts.append(starts[-1] + _LENGTH_AND_ITS_CRC + length + _CRC)
    return starts


def flip_bit(path: pathlib.Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def cut(path: pathlib.Path, rng: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(1, len(content))])


def cut_between_records(path: pathlib.Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: rng.choice(record_starts(path)[1:-1])])


def lose_a_record(path: pathlib.Path, rng: random.Random) -> None:
    starts = record_starts(path)
    lost = rng.randrange(len(starts) - 1)
    content = path.read_bytes()
    path.write_bytes(content[: starts[lost]] + content[starts[lost + 1] :])


def flip_length(path: pathlib.Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[rng.choice(record_starts(path)[:-1]) + rng.randrange(8)] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def empty(path: pathlib.Path, _: random.Random) -> None:
    path.write_bytes(b"")


def lose(path: pathlib.Path, _: random.Random) -> None:
    path.unlink()


def append(path: pathlib.Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes() + rng.randbytes(rng.randint(1, 2000)))


def zero_a_run(path: pathlib.Path, rng: random.Random) -> None:
    content = path.read_bytes()
    start = rng.randrange(len(content))
    zeroed = content[:start] + bytes(min(500, len(content) - start)) + content[start + 500 :]
    # What is zero already must change all the same.
    path.write_bytes(zeroed if zeroed != content else bytes(len(content)))


ON_ONE_FILE = {
    "a flipped bit": flip_bit,
    "cut inside": cut,
    "emptied": empty,
    "missing": lose,
    "bytes behind the end": append,
    "a run of zeros": zero_a_run,
}
ON_RECORDS = {
    "cut between two records": cut_between_records,
    "a record lost": lose_a_record,
    "a flipped bit in a length": flip_length,
}
ON_TWO_FILES = ("swapped", "doubled")


def on_one(folder: pathlib.Path, names: list[str], kind: str, rng: random.Random) -> set[str]:
    """Damages one of the files."""
    name = rng.choice(names)
    (ON_ONE_FILE | ON_RECORDS)[kind](folder / name, rng)
    return {name}


def on_two(folder: pathlib.Path, names: list[str], kind: str, rng: random.Random) -> set[str]:
    """Swaps two of the files, or puts a copy of one in the place of another."""
    first, second = rng.sample(names, 2)
    one, two = (folder / first).read_bytes(), (folder / second).read_bytes()
    (folder / first).write_bytes(two)
    if kind == "swapped":
        (folder / second).write_bytes(one)
        return {first, second}
    return {first}


def damage(folder: pathlib.Path, names: list[str], kind: str, rng: random.Random) -> set[str]:
    """Damages a folder in the given way; returns the names of changed files."""
    return (on_two if kind in ON_TWO_FILES else on_one)(folder, names, kind, rng)
