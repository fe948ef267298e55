"""The table of ranks shows the standings it is given."""

from dataclasses import replace

import numpy as np

from bench.report.figures import encoded, ranks
from bench.results.summary import Standing, Summary
from tests.helpers import made_up
from tests.helpers.made_up import CAPTION, MODELS, NOISES, PSNR


def placed() -> list[Summary]:
    """Three models and two filters: the last model is the best, the one before can't be told from it."""
    places = {MODELS[2]: (1, 2, True), MODELS[1]: (1, 2, True), MODELS[0]: (3, 3, False), "identity": (4, 4, False)}
    found = made_up.summaries(made_up.rows(noises=NOISES[:2], autoencode=False))
    return [
        replace(one, standing=Standing("psnr", *places[str(one.contender.model)]))
        if str(one.contender.model) in places
        else one
        for one in found
    ]


def test_ranks_are_written_and_the_best_and_its_ties_are_shaded() -> None:
    figure = ranks(placed(), PSNR, CAPTION)
    assert figure
    axes = figure.axes[0]
    texts = axes.texts
    assert [text.get_text() for text in texts] == ["3", "3", "1-2", "1-2", "1-2", "1-2", "4", "4"]
    means = [[one.mean(PSNR) for one in placed() if str(one.contender.model) == name] for name in MODELS[1:3]]
    assert all(unet < dncnn for unet, dncnn in zip(*means, strict=True))
    assert [text.get_fontweight() for text in texts] == ["normal"] * 4 + ["bold"] * 2 + ["normal"] * 2
    assert [text.get_fontstyle() for text in texts] == ["normal"] * 2 + ["italic"] * 2 + ["normal"] * 4
    shades = np.asarray(axes.collections[0].get_facecolor())
    assert len(np.unique(shades, axis=0)) == 3, "the best, its ties, the others"
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["conv", "unet", "dncnn", "identity"]
    assert any("corrected by Holm" in text.get_text().replace("\n", " ") for text in figure.texts)
    assert encoded(figure, "png").startswith(b"\x89PNG")


def test_without_standings_there_is_no_table() -> None:
    assert ranks(made_up.summaries(), PSNR, CAPTION) is None
