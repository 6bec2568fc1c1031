"""Random decay of files, as a fuzzer makes it."""

import random


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Returns a changed file: cut, flipped, zeroed, shortened, doubled or longer."""
    while True:
        changed = rng.choice(_WAYS)(bytearray(content), rng)
        if changed != content:
            return bytes(changed)


def _cut(content: bytearray, rng: random.Random) -> bytearray:
    return content[: rng.randrange(len(content))]


def _flip(content: bytearray, rng: random.Random) -> bytearray:
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return content


def _flip_in_header(content: bytearray, rng: random.Random) -> bytearray:
    content[rng.randrange(min(620, len(content)))] = rng.randrange(256)
    return content


def _zero(content: bytearray, rng: random.Random) -> bytearray:
    start = rng.randrange(len(content))
    end = min(len(content), start + rng.randint(1, 300))
    content[start:end] = bytes(end - start)
    return content


def _lose(content: bytearray, rng: random.Random) -> bytearray:
    start = rng.randrange(len(content))
    del content[start : start + rng.randint(1, 300)]
    return content


def _repeat(content: bytearray, rng: random.Random) -> bytearray:
    start = rng.randrange(len(content))
    part = content[start : start + rng.randint(1, 300)]
    return content[:start] + part + content[start:]


def _append(content: bytearray, rng: random.Random) -> bytearray:
    return content + rng.randbytes(rng.randint(1, 2000))


_WAYS = (_cut, _flip, _flip, _flip_in_header, _zero, _lose, _repeat, _append)
