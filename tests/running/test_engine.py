"""The engine: what is pending, what is kept, what fails alone, and where units run."""

from collections.abc import Callable, Generator
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from bench import spec
from bench.core import machine
from bench.core.errors import DataError
from bench.results.files import NotWritable, read_json
from bench.results.store import WEIGHTS, CellStore, Store
from bench.running import engine, steps
from bench.running.events import Begun, Done, Event, Failed, Scored, Started, Trained
from bench.running.pace import Pace, Unit
from bench.running.pending import pending
from bench.running.pools import Inline, Outcome
from bench.spec import Experiment
from bench.spec.cells import Cell
from bench.spec.plan import resolved, works_of
from bench.training import units
from bench.training.state import Epoch
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    return spec.load(write_spec(tmp_path))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results" / "tiny")


def run(experiment: Experiment, store: Store, workers: int = 1) -> list[Event]:
    return list(engine.run(experiment, works_of(experiment), store, workers))


def of(events: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def weights_of(store: Store) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in store.root.rglob(WEIGHTS)}


def failing(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception, when: Callable[..., bool]) -> list[Any]:
    """Make one kind of unit raise for some arguments; returns the list of its calls."""
    calls: list[Any] = []
    real = getattr(units, name)

    def step(*arguments: Any) -> Any:
        calls.append(arguments)
        if when(*arguments):
            raise error
        return real(*arguments)

    monkeypatch.setattr(engine if name == "complexity_step" else steps, name, step)
    return calls


def counted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[Any]:
    return failing(monkeypatch, name, Exception(), lambda *arguments: False)


def test_the_speed_of_an_epoch_that_the_budget_cuts_short_is_that_of_its_images(tmp_path: Path, store: Store) -> None:
    short = spec.load(write_spec(tmp_path, ("epochs: 2", "images: 33")))
    events = of(run(short, store), Trained)
    seen = dict[str, list[float]]()
    for event in events:
        seen.setdefault(event.cell.id, []).append(event.images_per_second * event.last.seconds)
    assert seen and all([round(images) for images in each] == [32, 1] for each in seen.values())


def test_steps_of_a_training_say_how_long_they_should_take(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the first epoch: nobody knows."""
    seen: list[tuple[int, float | None]] = []

    class Watched(Inline):
        def start(self, tag: int, unit: Unit) -> None:
            if unit.function is units.train_step:
                seen.append((unit.arguments[3], unit.seconds))
            super().start(tag, unit)

    monkeypatch.setattr(engine, "open_pool", lambda *size: Watched())
    events = of(run(spec.load(write_spec(tmp_path, ("epochs: 2", "epochs: 30"))), store), Trained)
    assert seen[0] == (1, None) and sum(seconds is None for _, seconds in seen) == 2
    later = [(epochs, seconds) for epochs, seconds in seen if seconds is not None]
    firsts = [event.last.seconds for event in events if event.last.epoch == 1]
    assert later and all(any(abs(seconds - epochs * one) < 1e-9 for one in firsts) for epochs, seconds in later[:2])


def test_trainings_end_one_after_another_however_brief_their_tests_are(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Timed(Inline):
        """As if in two processes, where a step of a training takes long and all else no time."""

        pace = Pace()

        @property
        def hungry(self) -> bool:
            return self.pace.hungry(2 * self.pace.depth)

        def start(self, tag: int, unit: Unit) -> None:
            self.pace.begin(tag, unit)
            super().start(tag, unit)

        def finish(self) -> Outcome:
            unit = self.waiting[0][1]
            outcome = super().finish()
            self.pace.end(outcome.tag)
            self.pace.note([unit], [3.0 if unit.function is units.train_step else 0.0])
            return outcome

    monkeypatch.setattr(engine, "open_pool", lambda *size: Timed())
    changes = ("epochs: 2", "epochs: 1"), ("\ntrain: {", "\nseeds: [0, 1, 2, 3, 4, 5]\ntrain: {")
    events = run(spec.load(write_spec(tmp_path, *changes)), store)
    begun = [isinstance(event, Begun) - isinstance(event, Done) for event in events]
    assert sum(map(abs, begun)) == 2 * 13
    assert max(accumulate(begun)) <= 8, "four in training, and four whose tests take no time"


def test_a_run_trains_and_scores_everything_once(experiment: Experiment, store: Store) -> None:
    events = run(experiment, store)
    assert events[0] == Started(cells=3, pending=3, epochs=4, tests=4, workers=1)
    assert sum(event.new_epochs for event in of(events, Trained)) == 4
    assert len(of(events, Scored)) == 4
    assert len(of(events, Done)) == 3
    assert not of(events, Failed)
    assert not pending(works_of(experiment), store, experiment)
    assert not list(store.root.rglob("state.safetensors"))


def test_a_finished_run_does_nothing(experiment: Experiment, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run(experiment, store)
    monkeypatch.setattr(engine, "open_pool", lambda *size: pytest.fail("started something"))
    assert run(experiment, store) == [Started(cells=3, pending=0, epochs=0, tests=0, workers=1)]


def test_the_longest_training_comes_first(tmp_path: Path, store: Store) -> None:
    larger = "[identity, {conv: {width: 4}}, {unet: {width: 16}}]"
    path = write_spec(tmp_path, ("[{conv: {width: 4}}, identity]", larger))
    begun = [event.work.cell.model.name for event in of(run(spec.load(path), store), Done)]
    assert begun == ["unet", "unet", "conv", "conv", "identity"]


def test_new_tests_and_metrics_train_nothing(
    experiment: Experiment, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(experiment, store)
    before, scores = weights_of(store), {path: path.read_text() for path in store.root.rglob("scores/*.json")}
    trained = counted(monkeypatch, "train_step")
    more = spec.load(tmp_path / "spec.yaml", ["test_noises=[gaussian: {sigma: 0.1}, masking: {p: 0.25}, poisson]"])
    events = run(more, store)
    assert events[0] == Started(cells=3, pending=3, epochs=0, tests=5, workers=1)
    assert {path: path.read_text() for path in scores} == scores
    scored = counted(monkeypatch, "score_step")
    more = spec.load(tmp_path / "spec.yaml", ["metrics=[mse, psnr, ssim, pairwise_distance]"])
    assert len(of(run(more, store), Scored)) == 4
    assert [arguments[5] for arguments in scored] == [({"pairwise_distance": {"over": "row"}},)] * 4
    for path, text in scores.items():
        old, new = read_json(path), read_json(path.with_name(path.name))
        assert old is not None and new is not None and text
        assert list(new["averages"]) == ["mse", "psnr", "ssim", "pairwise_distance"]
    assert trained == []
    assert weights_of(store) == before


def test_an_interrupted_training_goes_on_where_it_was(
    tmp_path: Path, experiment: Experiment, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(experiment, store)
    other = Store(tmp_path / "results" / "interrupted")
    monkeypatch.setattr(steps, "STEP_SECONDS", 0.0)
    events = engine.run(experiment, works_of(experiment), other, 1)
    for event in events:
        if isinstance(event, Trained):
            break
    assert isinstance(events, Generator)
    events.close()
    assert len(list(other.root.rglob("state.safetensors"))) == 1
    resumed = counted(monkeypatch, "train_step")
    again = run(experiment, other)
    assert [arguments[2].epoch for arguments in resumed] == [1, 0, 1]
    assert weights_of(other) == weights_of(store)
    assert again[0] == Started(cells=3, pending=3, epochs=4, tests=4, workers=1, done=1, resumed=1)
    assert [event.left.done for event in of(again, Begun)] == [1, 0, 0]
    assert sum(event.new_epochs for event in of(again, Trained)) == 3


def test_a_search_that_was_interrupted_counts_what_its_trials_have_done(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    searching = spec.load(write_spec(tmp_path), ["train.lr={search: [1e-3, 2e-3]}", "models=[{conv: {width: 4}}]"])
    monkeypatch.setattr(steps, "STEP_SECONDS", 0.0)
    events, trained = engine.run(searching, works_of(searching), store, 1), 0
    for event in events:
        trained += isinstance(event, Trained)
        if trained == 3:
            break
    events.close()
    first, second = pending(works_of(searching), store, searching)
    assert (first.epochs, first.done) == (4, 3) and (second.epochs, second.done) == (4, 0)
    rates = [event.cell.train.lr for event in of(run(searching, store), Trained)]
    assert rates == [0.002, 0.001, 0.001, 0.002, 0.002]


@pytest.mark.parametrize("error", [ValueError("no luck\nand more"), KeyError(), FloatingPointError("odd")])
def test_a_training_that_fails_is_kept_with_its_reason_and_tried_again(
    error: Exception, experiment: Experiment, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, "train_step", error, lambda context, cell, *rest: "masking" in str(cell))
    events = run(experiment, store)
    (failed,) = of(events, Failed)
    assert failed.reason == f"{type(error).__name__}: {error}".splitlines()[0].removesuffix(": ")
    assert store.cell(failed.work.cell.id).failure() == failed.reason
    assert len(of(events, Done)) == 2
    monkeypatch.undo()
    events = run(experiment, store)
    assert [event.work.cell.id for event in of(events, Done)] == [failed.work.cell.id]
    assert store.cell(failed.work.cell.id).failure() == ""


def test_a_model_that_cannot_be_built_fails_alone(
    experiment: Experiment, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, "complexity_step", RuntimeError("no plan"), lambda context, model, size: "conv" in model)
    events = run(experiment, store)
    assert [event.reason for event in of(events, Failed)] == ["RuntimeError: no plan"] * 2
    assert [event.work.cell.model.name for event in of(events, Done)] == ["identity"]


def test_a_test_that_fails_leaves_the_others(
    experiment: Experiment, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, "score_step", ValueError("not today"), lambda *arguments: "gaussian" in arguments[3])
    events = run(experiment, store)
    assert len(of(events, Failed)) == 2 and len(of(events, Done)) == 1
    assert len(of(events, Scored)) == 2, "masking was scored for both models"
    assert len(weights_of(store)) == 2
    monkeypatch.undo()
    trained = counted(monkeypatch, "train_step")
    assert len(of(run(experiment, store), Scored)) == 2
    assert trained == []


def test_data_that_cannot_be_had_end_the_run(
    experiment: Experiment, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, "train_step", DataError("01.png: can't be read"), lambda *arguments: True)
    with pytest.raises(DataError, match="can't be read"):
        run(experiment, store)


def test_a_full_disk_fails_cells_of_which_no_reason_can_be_kept(
    experiment: Experiment, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise NotWritable("weights can't be written: No space left on device")

    monkeypatch.setattr(CellStore, "finish", full)
    monkeypatch.setattr(CellStore, "fail", full)
    failed = of(run(experiment, store), Failed)
    assert [event.reason for event in failed] == ["weights can't be written: No space left on device"] * 3
    assert [event.error for event in failed] == [None] * 3
    assert not list(store.root.rglob("error.json"))


def test_an_error_of_ours_in_one_cell_is_told_and_leaves_the_others(
    experiment: Experiment, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = CellStore.finish

    def finish(self: CellStore, cell: Cell, *rest: Any) -> None:
        assert cell.model.name != "identity", "a fault"
        real(self, cell, *rest)

    monkeypatch.setattr(CellStore, "finish", finish)
    events = run(experiment, store)
    (failed,) = of(events, Failed)
    assert failed.reason.startswith("AssertionError: a fault") and isinstance(failed.error, AssertionError)
    assert store.cell(failed.work.cell.id).failure() == failed.reason
    assert len(of(events, Done)) == 2


def test_a_rate_that_explodes_in_its_last_step_is_a_failed_rate(store: Store) -> None:
    text = """
        name: explodes
        dataset: {name: photos, size: 16, train: 80, validation: 0.2, test: 8}
        models: [unet, identity]
        noises: [gaussian]
        train: {epochs: 1, batch_size: 128, precision: float32, device: cpu, lr: {search: [1e-3, 100]},
                optimizer: adam}
    """
    exploding = spec.parse(text)
    started = run(exploding, store)[0]
    assert isinstance(started, Started) and started.epochs == 2
    searched, _ = works_of(exploding)
    record = store.cell(searched.cell.id).record()
    assert record is not None
    assert record["lr"] == 1e-3
    kept, failed = record["search"]
    assert kept["validation_loss"] > 0
    assert failed == {"lr": 100.0, "error": "diverged: the validation loss is inf"}
    assert not pending(works_of(exploding), store, exploding)


def test_damaged_weights_are_trained_again_before_they_are_scored(
    experiment: Experiment, store: Store, tmp_path: Path
) -> None:
    run(experiment, store)
    before = weights_of(store)
    path = next(iter(store.root.rglob(WEIGHTS)))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert not of(run(experiment, store), Done), "nothing needs them, nothing reads them"
    more = spec.load(tmp_path / "spec.yaml", ["metrics=[mse, psnr, ssim, ssim_uniform]"])
    (first,) = [one for one in pending(works_of(more), store, more) if one.work.cell.id == path.parent.name]
    assert len(first.work.tests) == 1
    events = run(more, store)
    assert events[0].epochs == first.epochs == 2  # type: ignore[union-attr]
    assert {event.work.cell.id for event in of(events, Trained)} == {path.parent.name}
    assert weights_of(store) == before
    assert not pending(works_of(more), store, more)


def test_damaged_weights_that_come_back_otherwise_are_scored_anew(
    experiment: Experiment, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(experiment, store)
    path = next(iter(store.root.rglob(WEIGHTS)))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    real = units.train_step
    monkeypatch.setattr(steps, "train_step", lambda context, cell, *rest: real(context, {**cell, "seed": 9}, *rest))
    more = spec.load(tmp_path / "spec.yaml", ["test_noises=[gaussian: {sigma: 0.1}, masking: {p: 0.25}, poisson]"])
    run(more, store)
    assert weights_of(store)[path.parent.name] != bytes(content)
    assert not pending(works_of(more), store, more)


@pytest.mark.parametrize("name", ["cell.json", WEIGHTS, "history.csv"])
def test_a_cell_that_lacks_a_file_is_done_again(name: str, experiment: Experiment, store: Store) -> None:
    run(experiment, store)
    before = weights_of(store)
    path = next(path for path in store.root.rglob(name) if (path.parent / WEIGHTS).exists())
    path.write_bytes(path.read_bytes()[:20])
    events = run(experiment, store)
    assert len(of(events, Done)) == 1 and len(of(events, Scored)) == 1
    assert weights_of(store) == before


def test_what_is_fitted_to_each_noise_is_kept_and_better(tmp_path: Path, store: Store) -> None:
    models = "[gaussian_filter, {gaussian_filter: {sigma: 0.3}}]"
    fitting = spec.load(write_spec(tmp_path, ("[{conv: {width: 4}}, identity]", models)))
    run(fitting, store)
    fitted, fixed = (
        [store.cell(work.cell.id).score(test.id(work.cell.data)) or {} for test in work.tests]
        for work in works_of(fitting)
    )
    assert [score["fitted"] for score in fixed] == ["", ""]
    assert [score["fitted"] for score in fitted] == ["gaussian_filter(sigma=0.8)", "gaussian_filter(sigma=1.0)"]
    for chosen, given in zip(fitted, fixed, strict=True):
        assert chosen["averages"]["mse"]["mean"] < given["averages"]["mse"]["mean"]


def test_a_step_is_longer_where_saving_takes_longer() -> None:
    def epochs(seconds: float, saving: float) -> int:
        return steps._epochs_per_step((Epoch(1, 0.1, None, seconds),), saving)

    assert steps._epochs_per_step((), 1.0) == 1
    assert epochs(0.5, saving=0.001) == steps.STEP_SECONDS / 0.5
    assert epochs(0.5, saving=1.0) == steps.SAVING_SHARE / 0.5
    assert epochs(1000.0, saving=0.0) == 1
    assert epochs(0.0, saving=0.0) == 3000


def test_little_work_is_done_in_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 8)
    text = write_spec(tmp_path)
    little, much, search = (
        spec.load(text, [change])
        for change in ("train.epochs=1", "train.epochs=1000", "train.lr={search: [1e-3, 2e-3]}")
    )
    assert workers(little) == 1 and workers(much) == 8
    monkeypatch.setattr(engine, "LITTLE", 3 * sum(work.cell.images for work in works_of(search)) + 100)
    assert workers(search) == 8, "every learning rate is a training"


def test_on_a_gpu_as_many_processes_run_as_fit_its_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 8)
    much = spec.load(write_spec(tmp_path), ["train.epochs=1000", "train.device=cuda"])
    for memory, expected in ((80 * 2**30, 8), (10 * 2**30, 3), (2**30, 1), (0, 1)):
        monkeypatch.setattr(machine, "gpu_memory", lambda memory=memory: memory)
        assert workers(much) == expected


def workers(experiment: Experiment) -> int:
    nothing = Store(Path("nothing is stored here"))
    return engine.default_workers(resolved(experiment), pending(works_of(experiment), nothing, experiment))
