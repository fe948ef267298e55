"""The house keeps its order: imports point down, only the store writes results, training and scoring write nothing."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "bench"

CONTRIBUTING = ROOT.parent / "CONTRIBUTING.md"


def described() -> dict[str, str]:
    """The rooms and what each holds, the ground first, as CONTRIBUTING lists them."""
    (block,) = re.findall(r"^```rooms\n(.*?)^```", CONTRIBUTING.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return dict(re.findall(r"^(\w+) +(\S.*)$", block, re.MULTILINE))


ROOMS = list(described())  # each imports from itself and from those before it
DOORS = {"bench", "bench.errors", "bench.__main__"}  # the only modules outside a room: names for users, and the start

# Who may touch the disk, and with what in mind.
WRITERS = {
    "bench.results.files": "files that are whole or not there",
    "bench.results.store": "results, by way of bench.results.files",
    "bench.results.lock": "who holds a results folder",
    "bench.running.sockets": "a folder for sockets, while a run lasts",
    "bench.datasets.cache": "arrays built once",
    "bench.datasets.download": "archives",
    "bench.datasets.cifar10": "an archive unpacked into the cache for a moment",
}
# Who may ask bench.results.files to write: the store for results, commands for what the user named on the command line.
ASKING = {
    "bench.cli.data",
    "bench.results.lock",
    "bench.results.store",
    "bench.cli.run",
    "bench.cli.plan",
    "bench.cli.results",
    "bench.cli.denoise",
    "bench.cli.exchange",
    "bench.cli.init",
    "bench.cli.catalogue",
}

ALWAYS = {
    "write_text", "write_bytes", "mkdir", "makedirs", "unlink", "rmtree", "rmdir", "renames", "touch",
    "symlink_to", "hardlink_to", "mkstemp", "mkdtemp", "NamedTemporaryFile", "TemporaryDirectory", "TemporaryFile",
    "open_memmap", "memmap", "extractall", "copyfile", "copytree", "copy2", "tofile", "savetxt", "savez", "save_file",
    "urlretrieve", "fdopen", "to_pickle", "to_excel",
}  # fmt: skip
INTO_MEMORY = {"save", "savefig", "to_parquet", "imsave"}  # fine where the target is an io.BytesIO
AS_TEXT = {"to_csv", "to_json", "to_html"}  # fine where no target is named


def modules() -> dict[str, ast.Module]:
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


MODULES = modules()


def imports(tree: ast.Module) -> Iterator[str]:
    """Every module of bench that is imported, at once, lazily or in a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide where they lead"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else str(node.module)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Lazy", "import_module"):
            yield from (str(argument.value) for argument in node.args if isinstance(argument, ast.Constant))


def graph() -> dict[str, set[str]]:
    return {
        name: {target for target in imports(tree) if target.split(".")[0] == "bench"} - {name}
        for name, tree in MODULES.items()
    }


def room(module: str) -> str:
    """`models` of `bench.models.conv`."""
    return module.split(".")[1]


def test_every_folder_is_a_room_and_every_module_lies_in_one() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/*.py")}
    assert folders == set(ROOMS)
    assert {name for name in MODULES if name.count(".") < 2} - DOORS == {f"bench.{room}" for room in ROOMS}


def test_every_room_says_of_itself_what_contributing_says_of_it() -> None:
    assert {name: ast.get_docstring(MODULES[f"bench.{name}"]) for name in ROOMS} == described()


def test_imports_point_down() -> None:
    floor = {name: number for number, name in enumerate(ROOMS)}
    upwards = [
        f"{name} imports {target}"
        for name, targets in graph().items()
        for target in targets
        if name not in DOORS and floor[room(target)] > floor[room(name)]
    ]
    assert not upwards


def test_imports_go_round_in_no_circle() -> None:
    # A room's front door, its __init__, imports what lies behind it, which may itself come in by that door.
    fronts = {f"bench.{name}" for name in ROOMS}
    TopologicalSorter({name: targets - fronts for name, targets in graph().items() if name not in fronts}).prepare()


def test_every_import_leads_somewhere() -> None:
    assert {target for targets in graph().values() for target in targets} <= set(MODULES)


def test_nothing_is_imported_inside_a_function() -> None:
    inside = [
        f"{name}, line {node.lineno}"
        for name, tree in MODULES.items()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not inside, "take slow libraries from bench.core.lazy"


def writes(tree: ast.Module) -> Iterator[str]:
    """Calls that make, change or remove a file."""
    memory = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("io.BytesIO(")
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        method = isinstance(node.func, ast.Attribute)
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        target = ast.unparse(node.args[0]) if node.args else ""
        modes = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "mode")]
        if (
            called in ALWAYS
            or (called == "open" and any(map(_for_writing, modes)))
            or (called in INTO_MEMORY and method and target not in memory)
            or (called in AS_TEXT and method and (target or any(word.arg == "path_or_buf" for word in node.keywords)))
            or (called in ("replace", "rename") and method and len(node.args) == 1 and not node.keywords)
            or (
                owner in ("os", "shutil")
                and called in ("remove", "replace", "open", "truncate", "move", "copy", "link")
            )
        ):
            yield f"line {node.lineno}: {ast.unparse(node)}"


def _for_writing(argument: ast.expr) -> bool:
    value = argument.value if isinstance(argument, ast.Constant) else None
    return isinstance(value, str) and set(value) <= set("rwaxbt+") and bool(set(value) & set("wax+"))


@pytest.mark.parametrize(
    "call",
    [
        "open(path, 'w')",
        "path.open('ab')",
        "path.open(mode='r+')",
        "open(path, mode='x')",
        "path.write_text('x')",
        "path.mkdir()",
        "path.unlink()",
        "part.replace(target)",
        "part.rename(target)",
        "os.replace(a, b)",
        "os.remove(a)",
        "figure.savefig('x.png')",
        "figure.savefig(path)",
        "np.save(path, array)",
        "torch.save(state, path)",
        "table.to_csv(path)",
        "table.to_csv(path_or_buf=path)",
        "table.to_parquet('x')",
        "shutil.copy(a, b)",
        "tempfile.mkstemp()",
    ],
)
def test_a_call_that_writes_is_seen(call: str) -> None:
    assert list(writes(ast.parse(f"def f():\n    {call}\n")))


@pytest.mark.parametrize(
    "call",
    [
        "open(path)",
        "path.open('rb')",
        "text.replace('a', 'b')",
        "table.rename(columns={'a': 'b'})",
        "tables.to_markdown(rows, said)",
        "dataclasses.replace(cell, seed=1)",
        "replace(cell, seed=1)",
        "table.to_csv(index=False)",
        "content = io.BytesIO(); figure.savefig(content, format='png')",
        "save(tensors)",
        "found.remove(x)",
    ],
)
def test_a_call_that_does_not_write_is_none(call: str) -> None:
    assert not list(writes(ast.parse(call)))


@pytest.mark.parametrize("name", MODULES)
def test_only_the_store_and_the_cache_write(name: str) -> None:
    assert name in WRITERS or not list(writes(MODULES[name]))


def test_every_writer_writes() -> None:
    assert all(list(writes(MODULES[name])) for name in WRITERS), "take what no longer writes out of WRITERS"


def test_only_the_store_asks_for_results_to_be_written() -> None:
    asking = {
        name
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "bench.results.files"
        if {alias.name for alias in node.names} & {"write", "update"}
    }
    assert asking <= ASKING


@pytest.mark.parametrize("name", ["bench.training.units", "bench.training.train", "bench.training.measure"])
def test_what_workers_run_knows_no_files(name: str) -> None:
    reached, waiting = set(), {name}
    links = graph()
    while waiting:
        module = waiting.pop()
        reached.add(module)
        waiting |= links[module] - reached
    assert not {module for module in reached if module.split(".")[1] in ("results", "running", "report", "cli")}


def test_files_and_functions_keep_a_readable_size() -> None:
    long = [
        f"{name}.{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.end_lineno and node.end_lineno - node.lineno >= 50
    ]
    assert not long
    assert all(len(path.read_text(encoding="utf-8").splitlines()) <= 400 for path in ROOT.rglob("*.py"))


def test_every_module_and_everything_public_says_what_it_is() -> None:
    silent = [name for name, tree in MODULES.items() if not ast.get_docstring(tree) and tree.body]
    silent += [
        f"{name}.{node.name}"
        for name, tree in MODULES.items()
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        if not ast.get_docstring(node)
    ]
    assert not silent


def test_only_pictures_know_pillow() -> None:
    knowing = {name for name in MODULES if "PIL" in {target.split(".")[0] for target in imports(MODULES[name])}}
    assert knowing == {"bench.core.pictures", "bench.core.encoding"}
