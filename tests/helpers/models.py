"""Models to try: every family, and variants of some."""

from bench.models import models
from tests.helpers.images import Node

VARIANTS: list[Node] = [
    {"unet": {"bias": False}},
    {"unet": {"noise_map": True, "depth": 3}},
    {"dncnn": {"bias": False}},
    {"dncnn": {"noise_map": True, "depth": 4}},
    {"sparse": {"kind": "dense"}},
    {"k_sparse": {"kind": "dense", "k": 8}},
    {"contractive": {"kind": "dense"}},
    {"vae": {"kind": "dense"}},
]
USUAL = [name for name in models if name != "bm3d"]  # which is an extra and takes a second an image
NODES: list[Node] = [*USUAL, *VARIANTS]
