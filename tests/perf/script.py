"""The study's kind of script: PIL pictures, torchvision transforms, a DataLoader and a plain training loop.

It stands alone on purpose, as a student would write it, and takes nothing from noise-bench.
"""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.datasets import ImageFolder

SIZE = 28
BATCH = 64
SIGMA = 0.1


class Pictures(Dataset[torch.Tensor]):
    """Pixels in memory, handed out as torchvision.datasets.CIFAR10 does: an array becomes a PIL image, then a tensor.

    Reading PNG or JPEG files anew in every epoch would make the script slower still.
    """

    def __init__(self, root: Path, split: str, count: int | None = None) -> None:
        folder = ImageFolder(str(root / split))
        paths = [path for path, _ in folder.samples]
        chosen = np.linspace(0, len(paths) - 1, min(count or len(paths), len(paths))).astype(int)
        self.arrays = [np.asarray(Image.open(paths[i]).convert("RGB")) for i in chosen]
        self.transform = transforms.Compose([transforms.Resize((SIZE, SIZE)), transforms.ToTensor()])

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.transform(Image.fromarray(self.arrays[index]))


def network() -> nn.Module:
    """The study's network: 28x28 to 7x7 and back, 121,091 parameters."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 64, 3, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 16, 3, stride=2, padding=1, output_padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 3, 3, padding=1),
        nn.Sigmoid(),
    )


def train(model: nn.Module, loader: Iterable[torch.Tensor]) -> Iterator[tuple[float, float]]:
    """Epoch after epoch: the mean loss and the seconds of each."""
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-5)
    while True:
        model.train()
        started, total, count = time.perf_counter(), 0.0, 0
        for clean in loader:
            noisy = (clean + SIGMA * torch.randn_like(clean)).clamp(0, 1)
            optimizer.zero_grad()
            loss = criterion(model(noisy), clean)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(clean)
            count += len(clean)
        yield total / count, time.perf_counter() - started


def loader(pictures: Pictures, workers: int) -> DataLoader[torch.Tensor]:
    """Shuffled batches. Loader processes, if any, stay from epoch to epoch: the faster way to use them."""
    return DataLoader(pictures, batch_size=BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0)


def speed(root: str, images: int, epochs: int, workers: int) -> dict[str, Any]:
    """Images per second of training with torch's own number of threads; a first epoch warms up and isn't counted."""
    pictures = Pictures(Path(root), "train", images)
    running = train(network(), loader(pictures, workers))
    next(running)
    seconds = [next(running)[1] for _ in range(epochs)]
    return {
        "images_per_second": len(pictures) * epochs / sum(seconds),
        "seconds_per_epoch": sum(seconds) / epochs,
        "images": len(pictures),
        "threads": torch.get_num_threads(),
    }
