"""Records of the MIT-BIH arrhythmia database: two signals in format 212, and what a cardiologist called each beat.

A record is NAME.hea (text), NAME.dat (pairs of 12-bit samples in three bytes) and NAME.atr (16-bit words: six bits of
code, ten of time). Source: PhysioNet, WFDB Applications Guide, "signal" and "annot"; the database is under ODC-By 1.0.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

BEATS = {1: "N", 2: "L", 3: "R", 4: "a", 5: "V", 6: "F", 7: "J", 8: "A", 9: "S", 10: "E", 11: "j", 12: "/", 13: "Q"}
SKIP, AUX = 59, 63
TIMELESS = (60, 61, 62)  # number, subtype, channel: of the annotation before


class Record(NamedTuple):
    """`signals` (samples, 2) in millivolts at `rate` Hz; `beats` are the samples of R peaks, `codes` what they are."""

    signals: np.ndarray
    rate: float
    beats: np.ndarray
    codes: np.ndarray


def read_record(path: str | Path) -> Record:
    """Read a record; `path` names its header, or any of its files, or has no extension."""
    stem = Path(path).with_suffix("")
    text = [line.partition("#")[0].split() for line in stem.with_suffix(".hea").read_text().splitlines()]
    first, *lines = [line for line in text if line]
    rate, samples = float(first[2]), int(first[3])
    if len(lines) != 2 or any(line[1] != "212" for line in lines):
        raise ValueError(f"{stem}: not a record of two signals in format 212")
    gain = np.array([float(line[2].split("/")[0].split("(")[0]) for line in lines])
    zero = np.array([float(line[4]) for line in lines])
    signals = (unpack_212(stem.with_suffix(".dat").read_bytes(), samples) - zero) / gain
    beats, codes = read_annotations(stem.with_suffix(".atr").read_bytes())
    return Record(signals.astype(np.float32), rate, beats, codes)


def unpack_212(data: bytes, samples: int) -> np.ndarray:
    """Return (samples, 2) integers: byte 0 and the low half of byte 1, then byte 2 and the high half of byte 1."""
    low, middle, high = np.frombuffer(data, np.uint8, 3 * samples).reshape(-1, 3).astype(np.int32).T
    pairs = np.stack([low | (middle & 0x0F) << 8, high | (middle & 0xF0) << 4], axis=1)
    return np.where(pairs >= 2048, pairs - 4096, pairs)


def read_annotations(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return the samples and the letters of all beats; rhythm changes, noise and comments are left out."""
    words = np.frombuffer(data, "<u2", len(data) // 2).tolist()
    place, time = 0, 0
    beats, letters = [], []
    while place < len(words) and words[place]:
        code, value = words[place] >> 10, words[place] & 0x3FF
        place += 1
        if code == SKIP:  # a long time: the high word, then the low one
            long = (words[place] << 16) | words[place + 1]
            time += long - (1 << 32) * (long >= 1 << 31)
            place += 2
        elif code == AUX:
            place += (value + 1) // 2
        elif code not in TIMELESS:
            time += value
            if code in BEATS:
                beats.append(time)
                letters.append(BEATS[code])
    return np.array(beats), np.array(letters)
