"""What the JSON files of a results folder must look like before they are used: strangers may have made them."""

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # Pydantic can't use that of Python 3.11

from bench.core.errors import BenchError
from bench.results.files import complete, read_json

Id = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]  # names a folder or a file
FileName = Annotated[str, Field(pattern=r"^[^/\\\x00]+$")]
Text = Annotated[str, Field(pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]  # nothing that commands a terminal
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=2**53)]  # what a column holds exactly
Code = dict[Text, Text]
Object = dict[str, Any]


class _Strict(TypedDict):
    __pydantic_config__ = ConfigDict(strict=True)  # type: ignore[misc]  # pydantic reads it; TypedDict knows no such key


class _Exact(TypedDict):
    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")  # type: ignore[misc]  # pydantic reads it; TypedDict knows no such key


class _Level(_Strict):
    key: Text
    value: Finite | None


class _Test(_Strict):
    id: Id
    label: Text
    match: Text
    protocol: Object
    level: NotRequired[_Level | None]


class _Labels(_Strict):
    model: Text
    objective: Text
    train_noise: Text
    seed: int | None


class _Cell(_Strict):
    id: Id
    labels: _Labels
    varied: Object
    match: Text
    tests: list[_Test]
    recipe: NotRequired[Object]
    ensemble: NotRequired[Annotated[int, Field(ge=1, le=8)]]
    assumes: NotRequired[Text]


class _Metric(_Exact):
    column: FileName
    title: NotRequired[Text]
    unit: NotRequired[Text]
    better: NotRequired[Literal["higher", "lower"]]
    decimals: NotRequired[Annotated[int, Field(ge=0, le=15)] | None]
    ceiling: NotRequired[Finite | None]
    pooled: NotRequired[bool]


class _Notes(_Exact):
    facts: NotRequired[list[Text]]
    caveats: NotRequired[list[Text]]
    groups: NotRequired[list[int]]


class Plan(_Strict):
    """plan.json. Older ones have metrics as a spec names them."""

    name: Text
    dataset: Text
    stand_in_for: Text
    data: Object
    metrics: Annotated[list[_Metric | str | dict[str, Object]], Field(min_length=1)]
    varied: list[Text]
    train: Object
    seeds: list[int]
    chosen: list[Text]
    cells: list[_Cell]
    notes: NotRequired[_Notes]
    note: NotRequired[Text]
    digests: NotRequired[Code]
    code: NotRequired[Code]


class _Files(_Strict):
    """What every marker says of its files."""

    checksums: dict[FileName, Text]
    sizes: dict[FileName, Count]


class CellMarker(_Files):
    """cell.json."""

    cell: Object
    labels: Object
    size: Count
    parameters: Count | None
    macs: Count | None
    train_seconds: NotRequired[Finite | None]
    lr: NotRequired[Finite | None]
    diagnostics: NotRequired[dict[str, Finite]]
    code: NotRequired[Code]
    made_with: NotRequired[list[Text]]


class _Average(_Exact):
    mean: Finite | None
    deviation: Finite | None
    n: Annotated[int, Field(ge=1)]
    exact: NotRequired[Count]
    capped: NotRequired[Count]
    error: NotRequired[Finite | None]


class ScoreMarker(_Files):
    """scores/TEST.json."""

    n_images: Annotated[int, Field(ge=1)]
    weights: Text | None
    averages: NotRequired[dict[str, _Average]]
    protocol: NotRequired[Object]
    evaluate_seconds: NotRequired[Finite | None]
    latency_ms: NotRequired[Finite | None]
    fitted: NotRequired[Text | None]
    label: NotRequired[Text]
    code: NotRequired[Code]
    made_with: NotRequired[list[Text]]


class _Plugin(_Exact):
    name: Text
    package: NotRequired[Text]
    version: NotRequired[Text]
    sha256: NotRequired[Text]


class Environment(_Strict):
    """environment.json."""

    libraries: NotRequired[dict[str, Text | None]]
    plugins: NotRequired[list[_Plugin]]


class Images(_Strict):
    """images.json."""

    test: list[Text]


class _Standing(_Exact):
    metric: Text
    first: Count
    last: Count
    tied: bool


class Standings(_Strict):
    """tables/standings.json."""

    of: Text
    standings: list[_Standing | None]


class Failure(_Strict):
    """error.json."""

    error: Text
    tests: NotRequired[dict[str, Text]]


def misfit(shape: type, value: Any) -> str:
    """What is wrong with a value, at the first place; empty where it has the shape."""
    try:
        _adapter(shape).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return ""


def read(shape: type, path: Path) -> dict[str, Any] | None:
    """The object in a file; None where it is absent, unreadable or of another shape."""
    found = read_json(path)
    return None if found is None or misfit(shape, found) else found


def read_marker(shape: type, path: Path) -> dict[str, Any] | None:
    """A marker whose files, beside it, are all there; None otherwise."""
    found = read(shape, path)
    return found if found is not None and complete(path.parent, found) else None


def read_plan(path: Path, version: int) -> dict[str, Any]:
    """The plan in a file. Raises BenchError where there is none, or one that this version can't read."""
    found = read_json(path)
    if found is None:
        what = "is damaged" if path.exists() else "is missing"
        raise BenchError(
            f"{path.parent} holds no results: plan.json {what}. Give a folder that `bench run` has written, "
            "or run its spec again; what is finished is kept"
        )
    if found.get("format") != version:
        raise BenchError(
            f"{path} was written by another version of noise-bench. Run its spec again; what is finished is kept"
        )
    if wrong := misfit(Plan, found):
        raise BenchError(f"{path} is damaged, at {wrong}. Run its spec again; what is finished is kept")
    return found


@cache
def _adapter(shape: type) -> TypeAdapter[Any]:
    return TypeAdapter(shape)
