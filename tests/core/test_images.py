"""Conversions between stored and computed pictures, and grids of them."""

import numpy as np
import torch

from bench.core.images import contact_sheet, to_float, to_uint8


def test_every_stored_value_survives() -> None:
    stored = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2, 3, 16, 16)
    images = to_float(stored)
    assert images.dtype == torch.float32
    assert (images.min().item(), images.max().item()) == (0, 1)
    assert torch.equal(to_uint8(images), stored)
    assert torch.equal(to_uint8(images + 0.49 / 255), stored)
    assert torch.equal(to_uint8(images - 0.49 / 255), stored)


def test_what_leaves_the_range_is_clipped() -> None:
    assert to_uint8(torch.tensor([-3.0, -0.001, 1.001, 7.0])).tolist() == [0, 0, 255, 255]


def test_input_is_not_changed() -> None:
    images = torch.tensor([-1.0, 0.3, 2.0])
    to_uint8(images)
    assert torch.equal(images, torch.tensor([-1.0, 0.3, 2.0]))


def test_a_grid_places_rows_and_leaves_white_between() -> None:
    rows = [np.full((3, 3, 4, 5), 10, np.uint8), np.full((2, 3, 4, 5), 20, np.uint8)]
    rows[0][1, 2] = 99
    sheet = contact_sheet(rows, gap=2)
    assert sheet.shape == (4 + 2 + 4, 5 + 2 + 5 + 2 + 5, 3)
    assert (sheet[:4, 7:12] == [10, 10, 99]).all()
    assert (sheet[6:, :5] == 20).all()
    assert (sheet[4:6] == 255).all()
    assert (sheet[:, 5:7] == 255).all()
    assert (sheet[6:, 12:] == 255).all()
