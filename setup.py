"""What pyproject.toml can't say: the wheel has the specs of `experiments/` too, as `bench/experiments`."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["bench", "bench.*"]), "bench.experiments"],
    package_dir={"bench.experiments": "experiments"},
    package_data={
        "bench": ["py.typed"],
        "bench.experiments": ["*.yaml"],
        "bench.report": ["*.html", "*.css", "*.yaml"],
    },
)
