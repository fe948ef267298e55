"""Made-up results, shaped as a results folder holds them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench.metrics import metrics
from bench.report.figures import Samples

CAPTION = (
    "Data: CIFAR-10, 32x32 RGB, 9,000 training, 1,000 validation and 1,000 test images. Training: epochs 10, "
    "batch_size 128, optimizer adam, lr 0.001, weight_decay 1e-05, schedule cosine, precision bf16. 3 seeds. Scores: "
    "means over the test images, outputs clipped to [0, 1]. noise-bench 0.1.0, torch 2.14.1."
)
STAND_IN = f"STAND-IN IMAGES, not CIFAR-10. {CAPTION}"
PSNR, SSIM, MSE = (metrics.parse(name) for name in ("psnr", "ssim", "mse"))
LONG = "unet(" + ", ".join(f"a_rather_long_parameter_{i}={i / 7:.12f}" for i in range(8)) + ")"
MODELS = ["conv(width=16)", "unet(width=16)", "dncnn(width=32, depth=7)"]
PLAIN = ["identity", "median(size=3)"]
NOISES = ["gaussian(sigma=0.1)", "masking(p=0.25, fill=0.0, per=element)", "salt_and_pepper(p=0.1, salt=0.5)"]


def results(
    models: Sequence[str] = MODELS,
    noises: Sequence[str] = NOISES,
    seeds: Sequence[int] = (0, 1, 2),
    plain: Sequence[str] = PLAIN,
    cross: bool = False,
    autoencode: bool = True,
    failed: int = 0,
) -> pd.DataFrame:
    """Rows of results.csv. cross: every model meets every noise. failed: how many of the first rows failed."""
    draw = np.random.default_rng(0)
    rows = []

    def add(model: str, objective: str, trained: str, test: str, seed: int | str, size: int, gain: float) -> None:
        psnr = 14 + 3 * (noises.index(test) % 4) + gain + 0.15 * draw.standard_normal()
        mse = 10 ** (-psnr / 10)
        rows.append(
            {
                "cell": f"{len(rows):012x}", "dataset": "cifar10", "model": model, "objective": objective,
                "train_noise": trained, "test_noise": test, "seed": seed, "n_images": 1000, "mse": mse, "psnr": psnr,
                "ssim": 1 - 3 * mse**0.6, "mse_sd": mse / 2, "psnr_sd": 2.5, "ssim_sd": 0.05, "perfect_images": 0,
                "parameters": size, "macs": size * 300, "train_seconds": 100.0 if objective else "",
                "evaluate_seconds": 1.0, "latency_ms": 0.5, "error": "",
            }
        )  # fmt: skip

    for i, model in enumerate(models):
        for seed in seeds:
            for trained in noises:
                for test in noises if cross else [trained]:
                    add(model, "denoise", trained, test, seed, 40_000 * 2**i, 8 + i - 4 * (trained != test))
    for seed in seeds if autoencode and models else ():
        for test in noises:
            add(models[0], "autoencode", "", test, seed, 40_000, 3.0)
    for i, model in enumerate(plain):
        for test in noises:
            add(model, "", "", test, "", 0, 4.0 * i)
    table = pd.DataFrame(rows)
    for row in range(failed):
        table.loc[row, ["mse", "psnr", "ssim", "parameters"]] = np.nan
        table.loc[row, "error"] = f"loss is not finite after epoch {row} <script>alert(1)</script>"
    return table


def history(rows: pd.DataFrame, epochs: int = 10) -> pd.DataFrame:
    """The histories of the rows' cells."""
    draw = np.random.default_rng(1)
    parts = []
    for _, row in rows[rows["objective"] != ""].iterrows():
        loss = 0.02 * np.exp(-np.arange(1, epochs + 1) / 4) + 0.003 * draw.uniform(1, 1.4)
        parts.append(
            pd.DataFrame({"epoch": np.arange(1, epochs + 1), "train_loss": loss * 0.9, "validation_loss": loss}).assign(
                **row[["cell", "model", "objective", "train_noise", "seed"]].to_dict()
            )
        )
    return pd.concat(parts, ignore_index=True)


def sheet(models: Sequence[str], count: int = 3, size: int = 32) -> Samples:
    """Pictures with smooth shapes in them."""
    draw = np.random.default_rng(2)
    y, x = np.mgrid[:size, :size] / size
    waves = [[np.sin(5 * x * (k + 1) + c) * np.cos(4 * y + k) for c in range(3)] for k in range(count)]
    clean = 127 + 120 * np.array(waves)

    def spoilt(level: float) -> np.ndarray:
        return np.clip(clean + level * draw.standard_normal(clean.shape), 0, 255).astype(np.uint8)

    def psnr(images: np.ndarray) -> np.ndarray:
        return -10 * np.log10((((images - clean) / 255) ** 2).mean((1, 2, 3)))

    noisy = spoilt(25)
    made = {model: spoilt(18 / (1 + i)) for i, model in enumerate(models)}
    scores = {model: psnr(images) for model, images in made.items()}
    return Samples(NOISES[0], clean.astype(np.uint8), noisy, psnr(noisy), made, scores)
