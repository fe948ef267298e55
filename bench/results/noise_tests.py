"""Test noises of a run, as its plan has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.core.labels import Label
from bench.noises import Noise, noises
from bench.spec.protocol import digest, fingerprint, score_id, with_ensemble

PROTOCOL = ("clip", "quantize", "fresh")  # keys of a noise that belong to the protocol, not to what is compared


@dataclass(frozen=True)
class NoiseTest:
    """A test noise of a run.

    id: under which scores without an ensemble are stored. match: its label without what belongs to the protocol.
    level: the value of the noise's level key; None, and level_key empty, where it has none or draws one for each image.
    protocol: the fingerprint of such scores.
    """

    id: str
    label: Label
    match: str
    protocol: Mapping[str, Any] = field(compare=False, repr=False)
    level: float | None = None
    level_key: str = ""

    @classmethod
    def of(cls, noise: Noise, data: Mapping[str, Any], seed: int = 0) -> "NoiseTest":
        """What a noise is as a test on such data, in one of its draws."""
        return cls(
            id=score_id(noise, data, seed=seed),
            label=Label.parse(noise.label()),
            match=noise.label(without=PROTOCOL),
            protocol=fingerprint(noise, data, seed),
            level=noise.level_value,
            level_key="" if noise.level_value is None else noise.level,
        )

    @classmethod
    def from_node(cls, node: Mapping[str, Any]) -> "NoiseTest":
        """What `node()` gave; older folders lack the level."""
        label = Label.parse(node["label"])
        level = node["level"] if "level" in node else _level_of(label)
        found = level or {"key": "", "value": None}
        return cls(node["id"], label, node["match"], node["protocol"], found["value"], found["key"])

    def node(self) -> dict[str, Any]:
        """This as plain JSON values."""
        level = None if self.level is None else {"key": self.level_key, "value": self.level}
        return {
            "id": self.id,
            "label": str(self.label),
            "match": self.match,
            "protocol": dict(self.protocol),
            "level": level,
        }

    def stored_as(self, ensemble: int) -> str:
        """The id under which scores with an ensemble are stored."""
        return digest(with_ensemble(self.protocol, ensemble)) if ensemble > 1 else self.id

    @property
    def on_test_images(self) -> bool:
        """Whether the test images meet it, not those of another part."""
        return dict(self.label.params).get("split", "test") == "test"

    @property
    def family(self) -> Label:
        """The noise whatever its level: tests of one family differ in nothing else."""
        params = tuple(pair for pair in self.label.params if pair[0] != self.level_key)
        return Label(self.label.name, params, self.label.rest)


def _level_of(label: Label) -> dict[str, Any] | None:
    """The level in a label, for folders written before plans held it."""
    key = noises[label.name].level if label.name in noises else ""
    try:
        return {"key": key, "value": float(dict(label.params)[key])}
    except (KeyError, ValueError):
        return None
