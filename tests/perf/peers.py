"""The other side of each comparison. Every function runs in a process of its own, by `fresh.call`."""

import contextlib
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader

from tests.perf.script import BATCH, SIGMA, SIZE, Pictures, network


def deepinv_trainer(root: str, images: int, epochs: int) -> dict[str, Any]:
    """Images per second of deepinv's Trainer, float32, torch's own number of threads, after a first epoch.

    Given what makes it fastest here: images in memory as float tensors of the final size, no loader process, no
    progress bar, no metrics, nothing saved.
    """
    import deepinv  # the extra `perf`: nothing else here needs it

    warnings.simplefilter("ignore")
    pictures = Pictures(Path(root), "train", images)
    pixels = torch.stack([pictures[i] for i in range(len(pictures))])
    model = _Reconstructor(network())

    def trainer(count: int) -> Any:
        return deepinv.Trainer(
            model=model,
            physics=deepinv.physics.Denoising(deepinv.physics.GaussianNoise(SIGMA)),
            optimizer=torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-5),
            train_dataloader=DataLoader(deepinv.datasets.TensorDataset(x=pixels), batch_size=BATCH, shuffle=True),
            online_measurements=True,
            epochs=count,
            losses=deepinv.loss.SupLoss(metric=nn.MSELoss()),
            metrics=None,
            compute_train_metrics=False,
            device="cpu",
            save_path=None,
            verbose=False,
            show_progress_bar=False,
        )

    trainer(1).train()
    timed = trainer(epochs)
    started = time.perf_counter()
    timed.train()
    seconds = time.perf_counter() - started
    return {"images_per_second": len(pixels) * epochs / seconds, "threads": torch.get_num_threads()}


class _Reconstructor(nn.Module):
    """A network as deepinv calls it: with the physics as second argument."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, measurement: torch.Tensor, physics: Any, **_: Any) -> torch.Tensor:
        return self.inner(measurement)


def bare(model: nn.Module, batch: int, precision: str) -> Callable[[int], float]:
    """Forward, backward and step of a network on one resident batch, one thread.

    Returns a function of a number of steps: the seconds they take.
    """
    torch.set_num_threads(1)
    model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-5, fused=True)
    clean = torch.rand(batch, 3, SIZE, SIZE)
    noisy = (clean + SIGMA * torch.randn_like(clean)).clamp(0, 1).contiguous(memory_format=torch.channels_last)

    def steps(count: int) -> float:
        started = time.perf_counter()
        for _ in range(count):
            half = torch.autocast("cpu", torch.bfloat16) if precision == "bfloat16" else contextlib.nullcontext()
            with half:
                loss = functional.mse_loss(model(noisy).float(), clean)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        return time.perf_counter() - started

    return steps


def evaluate(folder: str, count: int) -> dict[str, Any]:
    """Seconds that scikit-image takes for the same four values of the first `count` images, one after the other.

    In float64, as ours: scikit-image is no faster in float32.
    """
    images, targets = (
        np.load(Path(folder) / f"{name}.npy", mmap_mode="r")[:count].transpose(0, 2, 3, 1).astype(np.float64)
        for name in ("images", "targets")
    )
    pairs = [(np.ascontiguousarray(x), np.ascontiguousarray(y)) for x, y in zip(images, targets, strict=True)]
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    started = time.perf_counter()
    values = [
        (
            mean_squared_error(y, x),
            peak_signal_noise_ratio(y, x, data_range=1),
            structural_similarity(y, x, data_range=1, channel_axis=-1, **wang),
            structural_similarity(y, x, data_range=1, channel_axis=-1),
        )
        for x, y in pairs
    ]
    seconds = time.perf_counter() - started
    names = ("mse", "psnr", "ssim", "ssim_uniform")
    return {"seconds": seconds, "values": dict(zip(names, np.array(values, float).T.tolist(), strict=True))}
