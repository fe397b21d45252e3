"""The invisible mark: a 64-bit receipt id woven into the brightness of a picture, in NumPy alone.

A periodic pattern of 61 x 61 pixels is tiled over the picture. It is a sum of sinusoids whose wavelengths
are 6 to 15 pixels: low enough to live through JPEG and halving, high enough not to look like stains.
Each sinusoid carries two signs; a quarter of them is known beforehand (the pilot) and tells where a
crop begins, the rest is the coded id (`provenance.code`). Spread-spectrum marking: Cox, Kilian, Leighton and
Shamoon, "Secure spread spectrum watermarking for multimedia", IEEE Trans. Image Processing 6(12), 1997.
Because the mark is periodic, all of it sits on 136 lines of the picture's spectrum, and

- a crop is a cyclic shift of the pattern, found by one small correlation with the pilot;
- a resize moves the lines; the new period is seen in the autocorrelation, and the lines are read there
  without resampling anything;
- what the picture itself has on these lines is known when marking, so the signs it opposes are made
  stronger and those it helps weaker (informed embedding).

61 is prime to 8: every tile meets the 8 x 8 blocks of JPEG at another offset, so what one tile loses to rounding
another keeps. Flat colour gets ±1 to 2 levels, texture up to twice that; pure white and black are moved by one level
to leave room. Mirrored and rotated pictures are not read.

A false read needs a chance match of a 32-bit checksum; at most 30 words are tried, so about one unmarked
picture in 140 million would seem marked.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fantascope.errors import InvalidValue
from fantascope.provenance import code

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

MIN_SIDE = 128
"""Smaller pictures are left unmarked: too few pixels to carry an id that can be read again."""

PERIOD = 61
LOWEST, HIGHEST = 4.0, 10.5
"""Waves per period, the band of the mark."""

FLAT, FLAT_LOSSY, TEXTURE, STRONGEST = 1.0, 1.3, 0.15, 2.4
"""Strength in levels (root mean square): on flat colour (more where the file will be compressed hard), added per
level of local contrast, at most. As many levels as on flat colour are kept free at black and white."""

NOISE = 2.0
"""Contrast in levels at which a place of the picture counts half when reading."""

RADIUS = 4
WEAKEST, BOOST = 0.6, 3.0
READ_SIDE = 1536
CANDIDATES = 6
SCALES = (0.3, 2.5)


@dataclass(frozen=True)
class Mark:
    """What `read` found: the id (or None), the share of signs that agreed beyond chance 0 … 1, and how.

    `at` is the left and top of one of the pattern's tiles, 0 … 60 pixels, where the mark has its own size.
    """

    payload: str | None
    confidence: float
    how: str
    at: tuple[int, int] | None = None


def can_mark(pixels: Pixels) -> bool:
    """Say whether the picture is large enough to carry a mark: `MIN_SIDE` on both sides."""
    return bool(min(pixels.shape[:2]) >= MIN_SIDE)


def embed(pixels: Pixels, payload: str, *, lossy: bool = False) -> Pixels:
    """Return a copy of `pixels (H, W, 3 or 4)` uint8 that carries `payload`, 16 hex digits; alpha is kept.

    `lossy` marks flat colour more strongly, for a file that will be compressed hard. The same arguments always give
    the same bytes: sums run in a fixed order, without BLAS.

    Raises:
        InvalidValue: the picture is smaller than `MIN_SIDE`, or the payload is not 16 hex digits.
    """
    if not can_mark(pixels):
        raise InvalidValue(f"A picture below {MIN_SIDE} x {MIN_SIDE} pixels is too small to be marked.", param="pixels")
    height, width = pixels.shape[:2]
    light = _luma(pixels)
    flat = FLAT_LOSSY if lossy else FLAT
    blocks = _strength(light, flat)
    signs = _signs(payload)
    tile = _tile(_informed(signs, light, blocks))
    strength = np.repeat(np.repeat(blocks, 4, 0), 4, 1)[:height, :width]
    delta = np.tile(tile, (-(-height // PERIOD), -(-width // PERIOD)))[:height, :width] * strength
    delta += np.clip(light, flat, 255 - flat)
    delta -= light
    step = np.repeat(np.rint(delta).astype(np.int16), 3, axis=1).reshape(height, width, 3)
    step += pixels[..., :3]
    np.clip(step, 0, 255, out=step)
    if pixels.shape[2] == 3:
        return step.astype(np.uint8)
    marked = pixels.copy()
    marked[..., :3] = step
    return marked


def read(pixels: Pixels) -> Mark:
    """Return the mark of `pixels (H, W, 3 or 4)` uint8: at its own size first, then at other sizes.

    Of a large picture the middle `READ_SIDE` pixels are read, so the time is bounded.
    """
    height, width = pixels.shape[:2]
    top, left = max(0, height - READ_SIDE) // 2, max(0, width - READ_SIDE) // 2
    window = pixels[top : top + READ_SIDE, left : left + READ_SIDE]
    if min(window.shape[:2]) < 4 * RADIUS:
        return Mark(None, 0.0, "the picture is too small to carry a mark")
    signal = _flatten(_luma(window), RADIUS)[0]
    if not signal.any():
        return Mark(None, 0.0, "the picture is one plain colour")
    found = _decode(_lines(signal, 1.0))
    if found:
        payload, confidence, (down, right) = found
        return Mark(payload, confidence, "at its own size", ((right + left) % PERIOD, (down + top) % PERIOD))
    for scale in (0.5, *_periods(signal)):
        tried = [_lines(signal, scale * near) for near in (0.9985, 0.99925, 1.0, 1.00075, 1.0015)]
        found = _decode(max(tried, key=lambda lines: float(_shifts(lines).max())))
        if found:
            return Mark(*found[:2], f"at {scale:.2f} of its first size")
    return Mark(None, 0.0, "no mark could be read")


@cache
def _band() -> tuple[Any, Any, int]:
    """Return the waves `(N, 2)` as (down, across), a sign pair for each `(N,)` complex, and how many are pilots.

    The order and the signs follow from SHA-256 alone, so that every version of NumPy has the same mark.
    """
    top = int(HIGHEST)
    waves = [
        (v, u)
        for v in range(-top, top + 1)
        for u in range(top + 1)
        if (u > 0 or v > 0) and LOWEST <= float(np.hypot(v, u)) <= HIGHEST
    ]
    waves.sort(key=lambda wave: hashlib.sha256(f"fantascope mark 1 {wave[0]} {wave[1]}".encode()).digest())
    raw = np.frombuffer(hashlib.shake_256(b"fantascope mark 1").digest(2 * len(waves)), np.uint8)
    signs = 1.0 - 2.0 * (raw & 1)
    return np.array(waves), signs[0::2] + 1j * signs[1::2], len(waves) - code.SYMBOLS // 2


def _signs(payload: str) -> Any:
    """Return the sign pair of every wave, complex `(N,)` with parts ±1, for a payload of 16 hex digits."""
    try:
        raw = bytes.fromhex(payload)
    except ValueError:
        raw = b""
    if len(raw) != code.PAYLOAD_BYTES or len(payload) != 2 * code.PAYLOAD_BYTES:
        raise InvalidValue(f"A mark carries 16 hex digits, not {payload!r}.", param="payload")
    _, scramble, pilots = _band()
    coded = code.encode(raw)
    signs = scramble.copy()
    signs[pilots:] = coded[0::2] * scramble[pilots:].real + 1j * coded[1::2] * scramble[pilots:].imag
    return signs


def _tile(amplitudes: Any) -> Floats:
    """Return one period `(61, 61)` of the pattern, unit strength, peaks cut at two."""
    waves, _, _ = _band()
    spectrum = np.zeros((PERIOD, PERIOD), np.complex128)
    spectrum[waves[:, 0], waves[:, 1]] = amplitudes
    spectrum[-waves[:, 0], -waves[:, 1]] = np.conj(amplitudes)
    pattern = np.fft.ifft2(spectrum).real
    pattern = np.clip(pattern / pattern.std(), -2.0, 2.0)
    return np.asarray(pattern / pattern.std(), np.float32)


def _luma(pixels: Pixels) -> Floats:
    """Return Rec. 601 brightness `(H, W)`, 0 … 255."""
    light: Floats = pixels[..., 0] * np.float32(0.299)
    light += pixels[..., 1] * np.float32(0.587)
    light += pixels[..., 2] * np.float32(0.114)
    return light


def _strength(light: Floats, flat: float) -> Floats:
    """Return the strength of the mark for blocks of 4 x 4 pixels.

    Contrast is the least standard deviation among a block and its eight neighbours: high inside texture, zero beside
    the edge of a flat shape, where noise would show.
    """
    height, width = light.shape
    rows, columns = -(-height // 4), -(-width // 4)
    if (rows * 4, columns * 4) != light.shape:
        light = np.pad(light, ((0, rows * 4 - height), (0, columns * 4 - width)), mode="edge")
    mean = _quarter(_quarter(light))
    spread = np.sqrt(np.maximum(_quarter(_quarter(light * light)) - mean * mean, 0))
    for axis in (0, 1):
        spread = np.pad(spread, [(1, 1) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        low, mid, high = (np.take(spread, range(k, spread.shape[axis] - 2 + k), axis) for k in (0, 1, 2))
        spread = np.minimum(np.minimum(low, mid), high)
    strength = np.minimum(flat + TEXTURE * spread, STRONGEST)
    around = np.pad(strength, 1, mode="edge")
    near = around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]
    return np.asarray((near + 4 * strength) / 8, np.float32)


def _informed(signs: Any, light: Floats, blocks: Floats) -> Any:
    """Return the amplitude of every wave: stronger where the picture itself speaks against its sign.

    The picture's own lines are measured at half size as `read` will weigh them, folded onto two periods.
    """
    waves, _, _ = _band()
    rows, columns = (side // 4 * 2 for side in light.shape)
    signal, weight = _flatten(_quarter(light[: rows * 2, : columns * 2]), RADIUS // 2)
    padded = np.pad(signal, ((0, -rows % PERIOD), (0, -columns % PERIOD)))
    folded = padded.reshape(-1, PERIOD, padded.shape[1] // PERIOD, PERIOD).sum((0, 2))
    lines = np.fft.fft2(folded)[2 * waves[:, 0], 2 * waves[:, 1]]
    lines = lines * np.exp(-1j * np.pi * waves.sum(1) / PERIOD)
    spread = np.repeat(np.repeat(blocks, 2, 0), 2, 1)[:rows, :columns]
    gain = float((weight * spread).sum()) * _passed(waves) / (2 * np.sqrt(len(waves)))
    own = lines / gain
    stronger = [np.clip(1 - a * b, WEAKEST, BOOST) for a, b in ((signs.real, own.real), (signs.imag, own.imag))]
    return signs.real * stronger[0] + 1j * signs.imag * stronger[1]


def _passed(waves: Any) -> Any:
    """Return how much of each wave is left after its moving average over `2·RADIUS + 1` pixels is taken away."""
    size = 2 * RADIUS + 1
    angle = np.pi * waves / PERIOD
    safe = np.where(angle == 0, 1.0, angle)
    kept = np.where(angle == 0, 1.0, np.sin(size * safe) / (size * np.sin(safe)))
    return 1 - kept[:, 0] * kept[:, 1]


def _flatten(light: Floats, radius: int) -> tuple[Floats, Floats]:
    """Return the picture without its shapes, weighed by how quiet each place is, and the weights."""
    detail = light - _average(light, radius)
    weight = NOISE / (_average(detail * detail, radius) + np.float32(NOISE * NOISE))
    return detail * weight, weight


def _average(plane: Floats, radius: int) -> Floats:
    """Return the moving average over a square of `2·radius + 1` pixels, edges repeated."""
    size = 2 * radius + 1
    middle = plane.mean()
    total = np.pad(plane - middle, radius + 1, mode="edge")[:-1, :-1]
    for axis in (0, 1):
        total = np.cumsum(total, axis=axis, dtype=np.float32)
        total = total[size:] - total[:-size] if axis == 0 else total[:, size:] - total[:, :-size]
    return np.asarray(total / np.float32(size * size) + middle, np.float32)


def _quarter(plane: Floats) -> Floats:
    """Return the plane at half size: means of 2 x 2 pixels."""
    rows = plane[0::2] + plane[1::2]
    return (rows[:, 0::2] + rows[:, 1::2]) * np.float32(0.25)


def _lines(signal: Floats, scale: float) -> Any:
    """Return the picture's spectrum `(N,)` at the lines of a mark that was resized by `scale`, whitened by radius."""
    waves, _, _ = _band()
    height, width = signal.shape
    top = int(HIGHEST)
    across = np.exp(-2j * np.pi / (PERIOD * scale) * np.outer(np.arange(width), np.arange(top + 1)))
    down = np.exp(-2j * np.pi / (PERIOD * scale) * np.outer(np.arange(-top, top + 1), np.arange(height)))
    rows = signal @ np.concatenate([across.real, across.imag], 1).astype(np.float32)
    plane = down @ (rows[:, : top + 1] + 1j * rows[:, top + 1 :])
    lines = plane[waves[:, 0] + top, waves[:, 1]]
    ring = np.hypot(*waves.T).astype(np.int64)
    power = np.bincount(ring, np.abs(lines) ** 2) / np.maximum(np.bincount(ring), 1)
    return lines / np.sqrt(power[ring] + 1e-12)


def _shifts(lines: Any) -> Any:
    """Return how well the pilot fits at every shift, in half pixels of the first size: `(122, 122)`."""
    waves, scramble, pilots = _band()
    plane = np.zeros((2 * PERIOD, 2 * PERIOD), np.complex128)
    plane[waves[:pilots, 0], waves[:pilots, 1]] = lines[:pilots] * np.conj(scramble[:pilots])
    return np.fft.ifft2(plane).real


def _decode(lines: Any) -> tuple[str, float, tuple[int, int]] | None:
    """Return the payload, its confidence and its shift (down, right), trying the shifts that fit the pilot best."""
    waves, scramble, pilots = _band()
    fit = _shifts(lines)
    best = np.argsort(fit, axis=None)[::-1][:CANDIDATES]
    shifts = np.stack(np.unravel_index(best, fit.shape), 1) / 2
    turned = lines[pilots:] * np.exp(2j * np.pi / PERIOD * (shifts @ waves[pilots:].T))
    pairs = np.stack([turned.real * scramble[pilots:].real, turned.imag * scramble[pilots:].imag], -1)
    soft = pairs.reshape(len(shifts), code.SYMBOLS).astype(np.float32)
    for row, payload, shift in zip(soft, code.decode(soft), shifts, strict=True):
        if payload is not None:
            agree = float((np.sign(row) == code.encode(payload)).mean())
            down, right = (round(float(side)) for side in shift)
            return payload.hex(), max(0.0, 2 * agree - 1), (down, right)
    return None


def _periods(signal: Floats) -> list[float]:
    """Return up to three scales at which the picture repeats itself, best first.

    The score of a scale is the autocorrelation at the lattice of its periods, over four periods each way.
    """
    height, width = signal.shape
    likeness = np.fft.irfft2(np.abs(np.fft.rfft2(signal)), s=(height, width))
    scales = np.exp(np.arange(np.log(SCALES[0]), np.log(SCALES[1]), 0.0015))
    score, seen = np.zeros(len(scales)), np.zeros(len(scales))
    for down in range(5):
        for across in range(-4 if down else 1, 5):
            y, x = down * PERIOD * scales, across * PERIOD * scales
            inside = (y < height / 2 - 1) & (np.abs(x) < width / 2 - 1)
            y0, x0 = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
            fy, fx = y - y0, x - x0
            upper = likeness[y0 % height, x0 % width] * (1 - fx) + likeness[y0 % height, (x0 + 1) % width] * fx
            y1 = (y0 + 1) % height
            lower = likeness[y1, x0 % width] * (1 - fx) + likeness[y1, (x0 + 1) % width] * fx
            score += np.where(inside, upper * (1 - fy) + lower * fy, 0.0)
            seen += inside
    score /= np.sqrt(np.maximum(seen, 1))
    chosen: list[float] = []
    for place in np.argsort(score)[::-1]:
        scale = float(scales[place])
        if seen[place] and all(abs(np.log(scale / other)) > 0.01 for other in (*chosen, 1.0)):
            chosen.append(scale)
        if len(chosen) == 3:
            break
    return chosen
