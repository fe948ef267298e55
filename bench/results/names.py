"""Short names for contenders and test noises that are shown side by side."""

from collections.abc import Iterable

from bench.core.labels import shortened
from bench.results.records import Contender, NoiseTest, setting, title


def contender_names(contenders: Iterable[Contender], by_train_noise: bool) -> dict[Contender, str]:
    """What each contender is called: its model without the keys that don't vary, and whatever else sets it apart.

    by_train_noise: whether models that were trained on different noises are different contenders; if not, they share
    a name.
    """
    given = list(dict.fromkeys(contenders))
    models = shortened(contender.model for contender in given)
    noises = shortened((contender.train_noise for contender in given if contender.train_noise), keep=1)

    def name(contender: Contender) -> str:
        parts = [title(str(models[contender.model]), contender.objective)]
        parts += [f"{key}={setting(value)}" for key, value in contender.settings if value is not None]
        if by_train_noise and contender.train_noise:
            parts.append(f"trained on {noises[contender.train_noise]}")
        return ", ".join(parts)

    return {contender: name(contender) for contender in given}


def noise_names(tests: Iterable[NoiseTest]) -> dict[str, str]:
    """What each test noise is called, by its id: its level and whatever else sets it apart."""
    given = {test.id: test for test in tests}
    brief = shortened((test.label for test in given.values()), keep=1)
    return {key: str(brief[test.label]) for key, test in given.items()}
