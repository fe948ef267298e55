"""Train x test matrices: values, gains and prices against the rows they are of."""

from typing import Any

import numpy as np
import pytest

from bench.report.figures import matrices
from tests.helpers import made_up
from tests.helpers.made_up import CAPTION, MODELS, PSNR

LEVELS = [f"gaussian(sigma={level})" for level in (0.05, 0.1, 0.2)]
RANGE = "gaussian(sigma=0.05..0.2)"


def value(model: str, trained: str, test: str) -> float:
    """What a row has: 2 dB more for each model, 5 dB less where the noise was another, 1 dB less for the range."""
    base = 20 - 3 * LEVELS.index(test) + 2 * MODELS.index(model) if model in MODELS else 15 - 4 * LEVELS.index(test)
    return base - {test: 0, RANGE: 1, "": 0}.get(trained, 5)


@pytest.fixture
def drawn() -> dict[str, Any]:
    """Two models trained on each of the levels and on a range, and `identity`."""
    rows = made_up.rows(MODELS[:2], LEVELS, (0,), ["identity"], cross=True, autoencode=False)
    generalists = [row for row in rows if row.contender.train_noise == rows[0].contender.train_noise]
    rows += [made_up.trained_on(row, RANGE) for row in generalists]
    found = [
        made_up.with_means(
            row, psnr=value(str(row.contender.model), str(row.contender.train_noise or ""), str(row.test.label))
        )
        for row in rows
    ]
    return dict(matrices(made_up.summaries(found), PSNR, CAPTION))


def numbers(figure: Any) -> dict[tuple[str, str], str]:
    """What is written, by the label of the row and of the column; rows of a group by its name and theirs."""
    axes = figure.axes[0]
    groups = {text.get_position()[1]: text.get_text() for text in axes.texts if text.get_fontweight() == "bold"}
    found = {}
    rows = [label.get_text() for label in axes.get_yticklabels()]
    columns = [label.get_text() for label in axes.get_xticklabels()]
    for text in axes.texts:
        if text.get_fontweight() != "bold":
            x, y = text.get_position()
            group = min(groups.items(), key=lambda item: abs(item[0] - y))[1]
            label = rows[int(y)]
            found[label if label == "identity" else f"{group} {label}", columns[int(x)]] = text.get_text()
    return found


def test_values_gains_and_prices(drawn: dict[str, Any]) -> None:
    assert list(drawn) == ["matrix", "matrix_gain", "matrix_price"]
    plain, gain, price = (numbers(figure) for figure in drawn.values())
    assert len(plain) == (2 * 4 + 1) * 3 and len(gain) == len(plain)
    assert plain["unet gaussian 0.05", "gaussian 0.1"] == "14.00"
    assert gain["unet gaussian 0.05", "gaussian 0.1"] == "+3.00"
    assert gain["identity", "gaussian 0.2"] == "+0.00"
    assert len(price) == 2 * (3 * 2 + 3), "not on the noise of the training, and none without training"
    assert price["unet gaussian 0.05", "gaussian 0.1"] == "+5.00"
    assert {price["conv gaussian 0.05..0.2", on] for on in ("gaussian 0.05", "gaussian 0.2")} == {"+1.00"}


def test_the_noise_of_the_training_is_framed_where_it_has_a_number(drawn: dict[str, Any]) -> None:
    def frames(figure: Any) -> list[tuple[int, int]]:
        lines = [line.get_xydata() for line in figure.axes[0].lines if len(line.get_xydata()) == 5]
        return [(int(line[:, 1].min()), int(line[:, 0].min())) for line in lines]

    assert frames(drawn["matrix"]) == [(0, 0), (1, 1), (2, 2), (4, 0), (5, 1), (6, 2)]
    assert frames(drawn["matrix_price"]) == []


def test_nothing_is_drawn_where_each_model_meets_its_own_noise() -> None:
    assert not list(matrices(made_up.summaries(), PSNR, CAPTION))


def test_a_gain_is_better_in_the_direction_of_the_metric() -> None:
    rows = made_up.rows(MODELS[:1], LEVELS, (0,), ["identity"], cross=True, autoencode=False)
    figure = dict(matrices(made_up.summaries(rows), made_up.MSE, CAPTION))["matrix_gain"]
    shades = np.asarray(figure.axes[0].collections[0].get_array()).reshape(4, 3)
    assert (shades[:3].diagonal() > 0).all(), "the errors of a model on its own noise are smaller"
    assert (shades[3] == 0).all()
