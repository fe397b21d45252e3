"""The house rules that a machine can check, read from the syntax tree."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import fantascope

SRC = Path(fantascope.__file__).parent
LAYER0 = {"errors", "explain", "request", "spec", "adapter", "receipt", "artifact", "settings"}
STDLIB = set(sys.stdlib_module_names)
MODULES = sorted(SRC.rglob("*.py"))

# package -> (our packages it may import, third parties it may import)
ALLOWED: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), set()),
    "receipt": (set(), {"pydantic"}),
    "explain": ({"errors"}, {"pydantic"}),
    "request": ({"errors", "explain"}, {"pydantic", "pydantic_core"}),
    "spec": ({"errors"}, {"pydantic"}),
    "adapter": ({"errors", "spec"}, {"pydantic"}),
    "settings": ({"errors"}, set()),
    "artifact": ({"receipt"}, {"PIL"}),
    "core": ({"errors"}, {"numpy"}),
    "prompt": (LAYER0, {"numpy"}),
    "policy": (LAYER0 | {"prompt"}, {"numpy", "PIL"}),
    "provenance": (LAYER0, {"numpy", "PIL", "c2pa", "cryptography", "pydantic"}),
    "gallery": (LAYER0, {"numpy", "PIL", "sqlalchemy"}),
    "annotate": (LAYER0, {"numpy", "pydantic", "cv2", "openvino"}),
    "engines": (LAYER0 | {"core", "annotate"}, {"numpy", "PIL", "openvino", "onnxruntime", "tokenizers"}),
    "train": (
        LAYER0 | {"core", "engines"},
        {"numpy", "torch", "diffusers", "transformers", "safetensors", "onnx", "PIL", "tokenizers"},
    ),
    "tasks": (LAYER0 | {"annotate", "core", "prompt", "train", "engines"}, {"numpy", "PIL"}),
    "data": (LAYER0 | {"core", "prompt", "policy", "provenance", "annotate"}, {"numpy", "PIL", "pyarrow", "pyvips"}),
    "evaluate": (LAYER0 | {"core", "engines", "data", "annotate"}, {"numpy", "PIL"}),
    "docket": (LAYER0 | {"gallery", "provenance"}, set()),
    "replay": (LAYER0, set()),
    "lineage": (LAYER0, set()),
    "resolve": (LAYER0 | {"core", "engines", "prompt"}, set()),
    "intake": (LAYER0 | {"prompt", "resolve", "tasks"}, {"pydantic"}),
    "proof": (LAYER0 | {"provenance", "tasks"}, {"numpy"}),
    "studio": (
        LAYER0
        | {
            "core",
            "docket",
            "engines",
            "gallery",
            "intake",
            "lineage",
            "policy",
            "prompt",
            "proof",
            "provenance",
            "replay",
            "resolve",
        }
        | {"tasks"},
        {"numpy", "PIL"},
    ),
    "personal": (
        LAYER0 | {"annotate", "core", "data", "engines", "gallery", "prompt", "tasks", "train"},
        {"numpy", "PIL", "pydantic"},
    ),
    "serve": (
        LAYER0
        | {"annotate", "data", "engines", "gallery", "personal", "policy", "prompt", "provenance", "resolve", "studio"}
        | {"lineage", "replay", "reports", "tasks", "wording"},
        {"PIL", "anyio", "dbos", "fastapi", "numpy", "prometheus_client", "pydantic", "starlette", "uvicorn"},
    ),
    "reports": (
        LAYER0 | {"core", "data", "engines", "policy", "prompt", "provenance", "gallery", "wording"},
        {"numpy", "PIL"},
    ),
    "wording": (LAYER0 | {"policy", "prompt", "studio"}, set()),
    "cli": (
        LAYER0
        | {"core", "studio", "resolve", "prompt", "data", "train", "policy", "tasks", "wording"}
        | {"provenance", "engines", "gallery", "evaluate", "personal", "reports", "serve"},
        {"typer", "rich", "numpy", "PIL", "uvicorn"},
    ),
    "__main__": ({"cli"}, set()),
}
TORCH = {"torch", "diffusers", "transformers", "accelerate", "safetensors", "huggingface_hub"}
TORCH_MODULES = ("engines/latent", "engines/pipeline", "engines/load", "train/")
"""The only modules that may name torch and its friends."""


def package_of(path: Path) -> str:
    first = path.relative_to(SRC).parts[0]
    return first.removesuffix(".py")


def imports(path: Path, *, top: bool = False) -> Iterator[str]:
    """Yield every module imported by a file; with `top`, only what importing it loads."""
    tree = ast.parse(path.read_text("utf-8"))
    nodes = _loaded(tree) if top else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "fantascope")


def _loaded(tree: ast.Module) -> Iterator[ast.stmt]:
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_imports_are_allowed(path: Path) -> None:
    package = package_of(path)
    if package == "__init__":
        return
    ours, others = ALLOWED[package]
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "fantascope":
            if len(parts) > 1 and parts[1] not in ("__version__",):
                assert parts[1] in ours | {package}, f"{package} may not import {name}"
        elif parts[0] not in STDLIB:
            fine = others | (TORCH if str(path.relative_to(SRC)).startswith(TORCH_MODULES) else set())
            if str(path.relative_to(SRC)) == "engines/weights.py":
                fine = fine | {"huggingface_hub"}
            assert parts[0] in fine, f"{package} may not import {name}"


def test_tasks_know_no_concrete_engine() -> None:
    for path in (SRC / "tasks").rglob("*.py"):
        for name in imports(path):
            assert not name.startswith("fantascope.engines") or name == "fantascope.engines.base", (path, name)


def test_train_knows_only_the_contract_of_engines() -> None:
    allowed = {f"fantascope.engines.{name}" for name in ("base", "compact", "lora", "safefile")}
    # What is taught has to be what will run: a lesson loads the engine's own parts through the engine's own reader.
    taught = {f"fantascope.engines.{name}" for name in ("latent_encode", "latent_parts", "weights")}
    for path in (SRC / "train").rglob("*.py"):
        for name in imports(path):
            also = taught if path.parent.name == "personal" else set()
            assert not name.startswith("fantascope.engines") or name in allowed | also, (path, name)


def test_no_import_cycles() -> None:
    graph = {}
    for path in MODULES:
        name = ".".join(("fantascope", *path.relative_to(SRC).with_suffix("").parts)).removesuffix(".__init__")
        graph[name] = {n for n in imports(path, top=True) if n.startswith("fantascope")}
    graph = {name: {n for n in uses if n in graph and n != name} for name, uses in graph.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail[trail.index(name) :], name))
        if name in done:
            return
        for other in graph[name]:
            visit(other, (*trail, name))
        done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_sizes(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= 500, f"{path} has more than 500 lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno is not None
            long = node.end_lineno - node.lineno + 1
            assert long <= 70, f"{path}: {node.name} has {long} lines"


def test_only_settings_reads_the_environment() -> None:
    for path in MODULES:
        if path.name == "settings.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"):
                raise AssertionError(f"{path}:{node.lineno} reads the environment")


def test_only_the_gallery_opens_the_database() -> None:
    for path in MODULES:
        # The server's jobs have a database of their own, which only `records` opens.
        if package_of(path) != "gallery" and path != SRC / "serve" / "records.py":
            assert not any(name.split(".")[0] in ("sqlalchemy", "sqlite3") for name in imports(path)), path


def test_only_the_studio_judges_and_seals() -> None:
    """In the generation path policy and provenance are called by the studio alone: surfaces never decide."""
    calls = {"check_licence", "judge_request", "check_pictures", "mark_pixels", "seal"}
    for path in MODULES:
        if package_of(path) in ("studio", "policy", "provenance", "data"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                assert name not in calls, f"{path}:{node.lineno} calls {name}"


NUMERIC = {"seed", "steps", "guidance", "guidance_rescale", "width", "height", "clip_skip", "quality", "upscale"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_no_truthiness_of_numeric_options(path: Path) -> None:
    """`seed or draw()` would lose seed 0."""

    def named(node: ast.expr) -> str:
        return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""

    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        tests: list[ast.expr] = []
        if isinstance(node, ast.BoolOp):
            tests = node.values
        elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
            tests = [node.test]
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            tests = [node.operand]
        for test in tests:
            assert named(test) not in NUMERIC, f"{path}:{test.lineno} tests the truth of {named(test)}"


def test_console_scripts_resolve() -> None:
    scripts = [e for e in entry_points(group="console_scripts") if e.value.startswith("fantascope")]
    assert scripts
    assert all(callable(script.load()) for script in scripts)


def test_public_surface() -> None:
    assert fantascope.__all__ == [
        "Annotate",
        "Artifact",
        "Blend",
        "Cutout",
        "Edit",
        "Erase",
        "Expand",
        "FantascopeError",
        "Fill",
        "Gallery",
        "Imagine",
        "Output",
        "PolicyRefused",
        "Receipt",
        "Request",
        "SPECS",
        "Settings",
        "Spec",
        "Step",
        "Studio",
        "Tile",
        "Upscale",
        "Vary",
        "Verdict",
        "__version__",
        "imagine",
        "parse_request",
        "verify",
    ]
    assert len(fantascope.__all__) <= 30
    assert all(getattr(fantascope, name) is not None for name in fantascope.__all__)


@pytest.mark.parametrize("words", [["-c", "import fantascope"], ["-m", "fantascope", "--help"]])
def test_start_loads_no_heavy_library(words: list[str]) -> None:
    code = ["-X", "importtime", *words]
    done = subprocess.run([sys.executable, *code], capture_output=True, text=True, check=True)
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    heavy = {"torch", "diffusers", "transformers", "openvino", "onnxruntime", "sqlalchemy", "c2pa", "numpy", "rich"}
    assert not loaded & heavy


def test_nothing_depends_on_what_is_beside_the_project() -> None:
    beside = "/".join(("..", "shared"))
    for folder in ("src", "tests", "bench", "recipes", "examples", "docs"):
        for path in (SRC.parent.parent / folder).rglob("*"):
            if path.suffix in (".py", ".sh", ".md", ".toml") and path != Path(__file__):
                assert beside not in path.read_text("utf-8"), path
