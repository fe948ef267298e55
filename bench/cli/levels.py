"""A figure of a noise at several levels, for `bench show noise`."""

import io

from bench.core.errors import FieldError, SpecError, shorten
from bench.core.images import contact_sheet, to_float, to_uint8
from bench.core.lazy import mpl_figure, torch
from bench.datasets import datasets
from bench.noises import Noise, noises
from bench.training.score import scoring_draw

SHOWN = 6  # test images across
FACTORS = (0.25, 0.5, 1, 2, 4)  # of a noise's default level, where it has no published severities


def at_levels(noise: Noise) -> list[Noise]:
    """A noise at several levels, weakest first as its level key orders them; alone if it has no such key."""
    if not noise.level:
        return [noise]
    default = getattr(noise, noise.level)
    values = noise.severities or [type(default)(default * factor) for factor in FACTORS]
    found = []
    for value in values:
        try:
            found.append(noises.parse({noise.name: {noise.level: value}}))
        except FieldError:  # this multiple of the default lies outside the key's bounds
            continue
    return found


def figure(noise: Noise, ending: str) -> bytes:
    """Test images of the bundled photographs, and below them the same images with the noise at each level.

    ending: png, svg or pdf. Raises SpecError for another.
    """
    images = torch.from_numpy(datasets.parse({"photos": {"test": SHOWN, "train": 64}}).load().test.copy())
    clean, positions = to_float(images), torch.arange(len(images))
    rows = {"original": images}
    for level in at_levels(noise):
        rows[level.label()] = to_uint8(level.apply(clean, scoring_draw(clean.shape, level, positions)))
    sheet = mpl_figure.Figure(figsize=(8, 1.25 * len(rows) + 0.2), layout="constrained")
    panels = sheet.subplots(len(rows), 1, squeeze=False)[:, 0]
    for axes, (label, row) in zip(panels, rows.items(), strict=True):
        axes.imshow(contact_sheet([row.numpy()]), interpolation="nearest")
        axes.set_axis_off()
        axes.set_title(label, fontsize=9, loc="left")
    content = io.BytesIO()
    try:
        sheet.savefig(content, format=ending, dpi=150)
    except ValueError:
        raise SpecError(f"no picture can be written as {shorten(ending)}; use png, svg or pdf") from None
    return content.getvalue()
