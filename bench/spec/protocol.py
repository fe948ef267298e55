"""What defines a result: trainings and scores are stored under hashes of it, their ids."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from bench.noises import Noise

TRAINING_PROTOCOL = 1  # raised whenever the same cell would train to other weights
SCORING_PROTOCOL = 1  # raised whenever the same weights would score otherwise
TEST_SEED = 0  # of test noises, the same in every run unless its spec adds a `test_seed`
CHUNK = 128  # images scored at once; the last chunk is padded to it


def digest(value: Any) -> str:
    """An id for plain JSON values: the first 12 hexadecimal digits of the SHA-256 of their sorted JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def score_id(noise: Noise, data: Mapping[str, Any], ensemble: int = 1, seed: int = 0) -> str:
    """The id under which a test is stored: a hash of everything that defines it except the model."""
    return digest(with_ensemble(fingerprint(noise, data, seed), ensemble))


def with_ensemble(protocol: Mapping[str, Any], ensemble: int) -> dict[str, Any]:
    """The protocol of a test whose outputs are averaged over so many flips and rotations; of one it says nothing."""
    return {**protocol, **({"ensemble": ensemble} if ensemble > 1 else {})}


def fingerprint(noise: Noise, data: Mapping[str, Any], seed: int = 0) -> dict[str, Any]:
    """The protocol of a test, part by part; scores are comparable only where every part is equal.

    seed: of the spec's tests; another one is another draw of the noise.
    """
    return {
        "scoring": SCORING_PROTOCOL,
        "range": [0, 1],
        "noise": noise.label(without=("clip", "quantize", "fresh")),
        "clip": noise.clip,
        "quantize": noise.quantize,
        "test_seed": TEST_SEED + seed,
        "chunk": CHUNK,
        "data": dict(data),
        **revisions(noise=noise.revision),
    }


def revisions(**parts: int) -> dict[str, Any]:
    """The revisions above 1; parts that were never revised keep the ids of their results."""
    raised = {kind: revision for kind, revision in parts.items() if revision > 1}
    return {"revisions": raised} if raised else {}
