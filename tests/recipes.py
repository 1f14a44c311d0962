"""Whether a stage's code changed, and whether somebody said what that does to its results.

`python -m tests.recipes` lists what changed since it was last settled, and settles the stages whose
recipe version was raised; `--same-results tasks/score.py …` settles those whose results stay.
A stage's code is its task's file and all that this imports from `tasks` and `pipeline`, without
comments and docstrings. `tests/recipes.json` holds what was settled.
"""

import argparse
import ast
import hashlib
import io
import json
import tokenize
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SETTLED = Path(__file__).parent / "recipes.json"
NO_RESULTS = (
    "pipeline/config/",  # its values are parameters of recipes
    "pipeline/errors.py",
    "pipeline/profiling.py",
    "pipeline/progress.py",
    "pipeline/threads.py",
    "tasks/cluster",  # where shards are made
    "tasks/gpu_slot.py",
    "tasks/make_shard.py",
    "tasks/passing_word.py",
    "tasks/prompt_client.py",
    "tasks/publishing.py",
    "tasks/shown_pages.py",
    "tasks/slot_holders.py",
    "tasks/stage.py",
    "tasks/watching.py",
    "tasks/work.py",
)
"""Code that decides no bits of an artifact."""
Stages = dict[str, dict[str, Any]]


def stages() -> Stages:
    """Every task file with a recipe: its recipes, and the digests of the code behind them."""
    found = {}
    for path in sorted((ROOT / "tasks").glob("*.py")):
        recipes = _recipes(path)
        if recipes:
            name = path.relative_to(ROOT).as_posix()
            sources = {file: code_digest(ROOT / file) for file in sorted(_behind(name))}
            found[name] = {"recipes": recipes, "sources": sources}
    return found


def changed(before: Stages, now: Stages) -> dict[str, list[str]]:
    """The code that changed of every stage whose recipes did not."""
    found = {}
    for name, stage in now.items():
        old = before.get(name, {"recipes": [], "sources": {}})
        files = old["sources"].keys() | stage["sources"].keys()
        differ = [
            file for file in sorted(files) if old["sources"].get(file) != stage["sources"].get(file)
        ]
        if differ and old["recipes"] == stage["recipes"]:
            found[name] = differ
    return found


@cache
def code_digest(path: Path) -> str:
    """The digest of a file's code without comments, docstrings and blank lines."""
    return hashlib.sha256(_code(path.read_text(encoding="utf-8")).encode()).hexdigest()[:12]


def _code(source: str) -> str:
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        for item in body if isinstance(body, list) else []:
            if isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant):
                for row in range(item.lineno, (item.end_lineno or item.lineno) + 1):
                    lines[row - 1] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _recipes(path: Path) -> list[str]:
    """Kind, stage and version of every `Recipe(…)` in a file, as they are written."""
    return [
        ", ".join(ast.unparse(argument) for argument in node.args[:3])
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Recipe"
    ]


def _behind(name: str) -> set[str]:
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        file = waiting.pop()
        if file not in seen and not file.startswith(NO_RESULTS):
            seen.add(file)
            waiting += _imports(file)
    return seen


@cache
def _imports(name: str) -> list[str]:
    """The files of ours that a file imports, at any depth of its code."""
    modules = []
    for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules += [node.module or ""]
            modules += [f"{node.module}.{alias.name}" for alias in node.names]
    files = []
    for module in modules:
        if module.startswith(("strop.pipeline.", "strop.tasks.")):
            path = ROOT.joinpath(*module.split(".")[1:])
            for candidate in (path.with_suffix(".py"), path / "__init__.py"):
                if candidate.exists():
                    files.append(candidate.relative_to(ROOT).as_posix())
    return files


def settled() -> Stages:
    """What was settled last."""
    found: Stages = json.loads(SETTLED.read_bytes())
    return found


def main() -> None:
    """Settle what may be settled; exit code 1 when something is left."""
    parser = argparse.ArgumentParser(description="Settle what changes of stages' code do.")
    parser.add_argument("--same-results", nargs="+", default=[], metavar="FILE")
    same = set(parser.parse_args().same_results)
    before, now = settled() if SETTLED.exists() else {}, stages()
    left = {name: files for name, files in changed(before, now).items() if name not in same}
    kept = {name: before[name] for name in left}
    text = json.dumps({**now, **kept}, indent=1, sort_keys=True) + "\n"
    SETTLED.write_text(text, encoding="utf-8")
    for name, files in left.items():
        print(f"{name}: {', '.join(files)} changed; raise its recipe, or name it: --same-results")
    raise SystemExit(bool(left))


if __name__ == "__main__":
    main()
