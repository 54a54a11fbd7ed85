"""A deterministic embedding of words: texts that share words are near each other."""

from __future__ import annotations

import hashlib
import math

DIMENSION = 16


def embed(text: str) -> list[float]:
    vector = [0.0] * DIMENSION
    for word in text.lower().split():
        vector[int(hashlib.sha256(word.encode()).hexdigest(), 16) % DIMENSION] += 1.0
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]
