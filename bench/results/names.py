"""Short names for cells, contenders and test noises that are shown side by side."""

from collections.abc import Iterable, Mapping

from bench.core.labels import Label, shortened
from bench.results.noise_tests import NoiseTest
from bench.results.records import ENSEMBLE, Contender, PlannedCell, setting, title
from bench.results.summary import Summary


def contender_names(
    contenders: Iterable[Contender], by_train_noise: bool, noises: Mapping[Label, Label] | None = None
) -> dict[Contender, str]:
    """What each contender is called: its model without the keys that don't vary, and whatever else sets it apart.

    by_train_noise: whether models that were trained on different noises are different contenders; if not, they share
    a name. noises: what the noises of their training are called, from `short_noises`.
    """
    given = list(dict.fromkeys(contenders))
    models = shortened((contender.model for contender in given), always=ENSEMBLE)
    short = short_noises(given, ()) if noises is None else noises

    def name(contender: Contender) -> str:
        parts = [title(str(models[contender.model]), contender.objective)]
        parts += [f"{key}={setting(value)}" for key, value in contender.settings if value is not None]
        if by_train_noise and contender.train_noise:
            parts.append(f"trained on {short[contender.train_noise]}")
        return ", ".join(parts)

    return {contender: name(contender) for contender in given}


def short_noises(contenders: Iterable[Contender], tests: Iterable[NoiseTest]) -> dict[Label, Label]:
    """What each noise is called, for training and for testing alike: its level and whatever else sets it apart."""
    trained = [contender.train_noise for contender in contenders if contender.train_noise]
    return shortened([*trained, *(test.label for test in tests)], keep=1)


def cell_names(cells: Iterable[PlannedCell]) -> dict[str, str]:
    """What each cell of a plan is called in a line of its own, by its id: `unet · gaussian 0.1`."""
    given = list(cells)
    models = shortened(cell.contender.model for cell in given)
    noises = short_noises((cell.contender for cell in given), ())
    several = len({cell.seed for cell in given} - {None}) > 1

    def name(cell: PlannedCell) -> str:
        who = cell.contender
        parts = [title(str(models[who.model]), who.objective)]
        parts += [brief(noises[who.train_noise])] if who.train_noise else []
        parts += [f"{key} {setting(value)}" for key, value in who.settings if value is not None]
        parts += [f"seed {cell.seed}"] if several and cell.seed is not None else []
        return " · ".join(parts)

    return {cell.id: name(cell) for cell in given}


def crossed(summaries: Iterable[Summary]) -> bool:
    """Whether some model is tested on a noise it wasn't trained on; then who was trained on what matters."""
    return any(s.contender.train_noise and s.contender.train_noise != s.test.label for s in summaries)


def brief(noise: Label) -> str:
    """A noise with its first parameter by its value alone, which usually is the level.

    >>> brief(Label.parse("masking(p=0.25, per=pixel)"))
    'masking 0.25 per=pixel'
    """
    level = [value for _, value in noise.params[:1]]
    return " ".join([noise.name, *level, *(f"{key}={value}" for key, value in noise.params[1:])]) + noise.rest
