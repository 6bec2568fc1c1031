"""Arithmetic that the processor has of its own."""

import pathlib

# Of x86: products of bfloat16 in vectors, in tiles; of ARM: bf16 and i8mm's sibling.
_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16", "avx_ne_convert"}
# With vectors alone oneDNN multiplies it at 0.53 of its float32, and OpenVINO encodes at 0.58 (docs/speed.md).
_FAST_BFLOAT16 = {"amx_bf16", "bf16"}

# Of x86: VNNI in vectors, in tiles; of ARM: dot products.
_FAST_INT8 = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"}


def features() -> set[str]:
    """Returns the processor's features as Linux names them; none elsewhere."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return set()
    found = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return set(found.partition(":")[2].split())


def has_bfloat16() -> bool:
    """Returns whether the processor multiplies bfloat16; others are far slower at it."""
    return bool(features() & _BFLOAT16)


def has_fast_bfloat16() -> bool:
    """Returns whether the processor multiplies bfloat16 faster than float32."""
    return bool(features() & _FAST_BFLOAT16)


def has_fast_int8() -> bool:
    """Returns whether the processor multiplies 8-bit integers faster than float32."""
    return bool(features() & _FAST_INT8)
