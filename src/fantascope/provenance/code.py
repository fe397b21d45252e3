"""The error-correcting code of the mark: 64 bits, a 32-bit checksum, a convolutional code.

Rate 1/2, constraint length 7, generators 133 and 171 (octal), terminated by six zeros, decoded by the
Viterbi algorithm on soft values (Viterbi, "Error bounds for convolutional codes", IEEE Trans. Inf. Theory
13(2), 1967). A wrong read has to pass the checksum by chance: 2^-32 for each word that is tried.
"""

from __future__ import annotations

import zlib
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

PAYLOAD_BYTES, CHECK_BYTES, MEMORY = 8, 4, 6
STEPS = 8 * (PAYLOAD_BYTES + CHECK_BYTES) + MEMORY
"""Bits that enter the code, the zeros that end it included."""

GENERATORS = (0o133, 0o171)
SYMBOLS = STEPS * len(GENERATORS)
"""Signs that leave the code."""

_STATES = 1 << MEMORY


@cache
def _trellis() -> tuple[Any, Any, Any, Any]:
    """Return `signs (128, 2)` of the edges, `edges (64, 2)` into each state, their sources, and the bit they carry.

    Edge `2·state + bit` leaves `state` with `bit`; the register holds the newest bit on top.
    """
    states, bits = np.divmod(np.arange(2 * _STATES), 2)
    register = (bits << MEMORY) | states
    parity = np.array([[(int(r) & g).bit_count() & 1 for g in GENERATORS] for r in register])
    target = register >> 1
    edges = np.argsort(target, kind="stable").reshape(_STATES, 2)
    return (1 - 2 * parity).astype(np.float32), edges, edges // 2, (edges % 2)[:, 0]


def encode(payload: bytes) -> Floats:
    """Return the `SYMBOLS` signs (+1 for a 0, −1 for a 1) that carry `payload`, 8 bytes."""
    signs = _trellis()[0]
    bits = np.unpackbits(np.frombuffer(payload + _check(payload), np.uint8)).tolist() + [0] * MEMORY
    out, state = np.empty((STEPS, len(GENERATORS)), np.float32), 0
    for step, bit in enumerate(bits):
        out[step] = signs[2 * state + bit]
        state = ((bit << MEMORY) | state) >> 1
    return out.ravel()


def decode(soft: Floats) -> list[bytes | None]:
    """Return the payload of each row of `soft (K, SYMBOLS)`, or None where the checksum says no."""
    signs, edges, sources, carried = _trellis()
    words = len(soft)
    gains = soft.reshape(words, STEPS, len(GENERATORS)) @ signs.T
    score = np.full((words, _STATES), -np.inf, np.float32)
    score[:, 0] = 0.0
    taken = np.empty((STEPS, words, _STATES), bool)
    for step in range(STEPS):
        both = score[:, sources] + gains[:, step][:, edges]
        taken[step] = both[..., 1] > both[..., 0]
        score = both.max(-1)
    state, row = np.zeros(words, np.int64), np.arange(words)
    bits = np.empty((words, STEPS), np.uint8)
    for step in range(STEPS - 1, -1, -1):
        bits[:, step] = carried[state]
        state = sources[state, taken[step, row, state].astype(np.int64)]
    raw = [np.packbits(word[: STEPS - MEMORY]).tobytes() for word in bits]
    return [r[:PAYLOAD_BYTES] if _check(r[:PAYLOAD_BYTES]) == r[PAYLOAD_BYTES:] else None for r in raw]


def _check(payload: bytes) -> bytes:
    return zlib.crc32(b"fantascope" + payload).to_bytes(CHECK_BYTES, "big")
