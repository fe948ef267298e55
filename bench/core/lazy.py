"""Libraries that take seconds to import, loaded at first use.

`bench --help`, a finished rerun and the checking of a spec need none of them.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any


class Lazy(ModuleType):
    """Stands in for a module and imports it when one of its names is first used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(importlib.import_module(self.__name__), name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import bm3d
    import dask.system as dask_system
    import jinja2
    import matplotlib
    import matplotlib.figure as mpl_figure
    import matplotlib.lines as mpl_lines
    import matplotlib.ticker as mpl_ticker
    import pandas
    import requests
    import seaborn
    import skimage.metrics as skimage_metrics
    import torch
    import torch.nn.functional as functional
    import torchvision.datasets as torchvision_datasets
    import urllib3
    from matplotlib import pyplot
    from scipy import ndimage, optimize, special
    from skimage import restoration
    from torch import nn
    from torch.utils import flop_counter
else:
    bm3d = Lazy("bm3d")
    dask_system = Lazy("dask.system")
    jinja2 = Lazy("jinja2")
    matplotlib = Lazy("matplotlib")
    mpl_figure = Lazy("matplotlib.figure")
    mpl_lines = Lazy("matplotlib.lines")
    mpl_ticker = Lazy("matplotlib.ticker")
    pandas = Lazy("pandas")
    pyplot = Lazy("matplotlib.pyplot")
    requests = Lazy("requests")
    restoration = Lazy("skimage.restoration")
    seaborn = Lazy("seaborn")
    skimage_metrics = Lazy("skimage.metrics")
    torch = Lazy("torch")
    nn = Lazy("torch.nn")
    functional = Lazy("torch.nn.functional")
    flop_counter = Lazy("torch.utils.flop_counter")
    ndimage = Lazy("scipy.ndimage")
    optimize = Lazy("scipy.optimize")
    special = Lazy("scipy.special")
    torchvision_datasets = Lazy("torchvision.datasets")
    urllib3 = Lazy("urllib3")

__all__ = [
    "Lazy",
    "bm3d",
    "dask_system",
    "flop_counter",
    "functional",
    "jinja2",
    "matplotlib",
    "mpl_figure",
    "mpl_lines",
    "mpl_ticker",
    "ndimage",
    "nn",
    "optimize",
    "pandas",
    "pyplot",
    "requests",
    "restoration",
    "seaborn",
    "skimage_metrics",
    "special",
    "torch",
    "torchvision_datasets",
    "urllib3",
]
