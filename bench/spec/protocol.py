"""What defines a number: the ids under which trainings and scores are stored are hashes of it."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from bench.core.registry import Registered
from bench.noises import Noise

TRAINING_PROTOCOL = 1  # raised whenever the same cell would train to other weights
SCORING_PROTOCOL = 1  # raised whenever the same weights would score otherwise
TEST_SEED = 0  # the tests' own seed, the same in every run
CHUNK = 128  # images that are scored at once; the last chunk is padded to it


def digest(value: Any) -> str:
    """A short name for plain JSON values: 12 hexadecimal digits of the SHA-256 of their sorted form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def score_id(noise: Noise, data: Mapping[str, Any]) -> str:
    """The name under which a test is stored: a hash of everything that defines it but the model."""
    return digest(fingerprint(noise, data))


def fingerprint(noise: Noise, data: Mapping[str, Any]) -> dict[str, Any]:
    """The protocol of a test, part by part: scores are compared only where every part is the same."""
    return {
        "scoring": SCORING_PROTOCOL,
        "range": [0, 1],
        "noise": noise.label(without=("clip", "quantize", "fresh")),
        "clip": noise.clip,
        "quantize": noise.quantize,
        "test_seed": TEST_SEED,
        "chunk": CHUNK,
        "data": dict(data),
        **revisions(noise=noise),
    }


def revisions(**parts: Registered | None) -> dict[str, Any]:
    """The revisions that were raised: what never changed keeps the names of its results."""
    raised = {name: part.revision for name, part in parts.items() if part is not None and part.revision > 1}
    return {"revisions": raised} if raised else {}
