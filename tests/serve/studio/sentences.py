"""What the server can say to the page: sentences of errors in the source, `{}` for what differs, and the catalogues."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.serve.studio.scripts import PAGE

import fantascope
from fantascope import errors

SOURCE = Path(fantascope.__file__).parent
ELSEWHERE = (
    "cli", "data", "evaluate", "train", "serve/a1111", "serve/openai", "serve/discord", "serve/options", "settings",
    "engines", "spec", "provenance", "policy/nsfwjs", "policy/rules", "policy/cost", "policy/energy",
    "policy/meaning", "gallery/backup", "gallery/check", "gallery/plans", "gallery/postgres", "gallery/restore",
    "gallery/transfer", "serve/records",
)  # fmt: skip
"""What speaks to the operator's terminal, to other wires or of broken files; in the page the kind of error is said."""
NAMED = {
    "UnknownName": "There is no {} '{}'.",
    "MissingExtra": "{} needs the extra {}, which is not installed.",
    "ReplayDiffers": "{} differs: the receipt says {}, here it is {}.",
}
HOLE = re.compile(r"\{\w+(?::[nwlfst])?\}")
SENTENCES = ("errors", "fields", "hints", "lessons", "prompts", "rules", "verify")


def catalogue(language: str, *names: str) -> dict[str, str]:
    """Return sentences of a language of the page: English to what is shown."""
    found: dict[str, str] = {}
    for name in names or SENTENCES:
        path = PAGE / "lang" / language / f"{name}.json"
        told = json.loads(path.read_text("utf-8")) if path.exists() else {}
        assert not set(told) & set(found), (name, set(told) & set(found))
        found |= told
    return found


def names(language: str) -> dict[str, dict[str, str]]:
    """Return what codes, fields and tasks are called in a language of the page."""
    told: dict[str, dict[str, str]] = json.loads((PAGE / "lang" / language / "names.json").read_text("utf-8"))
    return told


def bare(sentence: str) -> str:
    """Return a sentence of a catalogue with `{}` for what differs, as the source has it."""
    return HOLE.sub("{}", sentence)


class Ear:
    """Says whether a catalogue holds a sentence, as the page finds it: whole, or with its differing parts."""

    def __init__(self, every: dict[str, str]) -> None:
        self._whole = {one for one in every if not HOLE.search(one)}
        self._forms = [self._form(one) for one in every if HOLE.search(one)]

    @staticmethod
    def _form(sentence: str) -> tuple[re.Pattern[str], list[str], bool]:
        kinds = [hole[1:-1].partition(":")[2] for hole in HOLE.findall(sentence)]
        plain = HOLE.split(sentence)
        return (
            re.compile("(.+?)".join(map(re.escape, plain)), re.DOTALL),
            kinds,
            len(re.findall(r"[^\W\d_]", "".join(plain))) >= 6,
        )

    def heard(self, sentence: str, depth: int = 0) -> bool:
        """Say whether a sentence is known, and the sentences in it; `{}` is what the source does not tell."""
        if sentence in self._whole or sentence == "{}":
            return True
        for form, kinds, words in self._forms:
            match = form.fullmatch(sentence)
            if match and (words or "s" in kinds) and depth < 6:
                inner = [text for text, kind in zip(match.groups(), kinds, strict=True) if kind == "s"]
                if all(self.heard(text, depth + 1) for text in inner) and (
                    words or any(text != "{}" for text in inner)
                ):
                    return True
        return False


def codes() -> set[str]:
    """Return the codes of all errors."""
    kinds = [getattr(errors, name) for name in errors.__all__]
    return {kind.code for kind in kinds if isinstance(kind, type)}


def error_templates() -> Iterator[tuple[str, str, str]]:
    """Yield (module, message or hint, template) of every error that is raised where the page may hear of it."""
    for path in sorted(SOURCE.rglob("*.py")):
        module = path.relative_to(SOURCE).as_posix().removesuffix(".py")
        if module.startswith(ELSEWHERE):
            continue
        tree = ast.parse(path.read_text("utf-8"))
        outer = _assigned(tree.body)
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                known = outer | _assigned(ast.walk(function))
                for kind, template in _raised(function, known):
                    if re.search(r"[^\W\d_]", template.replace("{}", "")):
                        yield module, kind, template


def claim_templates() -> Iterator[str]:
    """Yield what verifying a file may say of its claims."""
    for name in ("verify", "cites"):
        for function in ast.walk(ast.parse((SOURCE / "provenance" / f"{name}.py").read_text("utf-8"))):
            if not isinstance(function, ast.FunctionDef):
                continue
            known = _assigned(ast.walk(function))
            for node in ast.walk(function):
                told: list[ast.expr] = []
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Check" and len(node.args) == 3:
                    told = node.args
                elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and len(node.value.elts) == 3:
                    told = node.value.elts
                for text in _texts(told[2], known) if told else ():
                    if re.search(r"[^\W\d_]", text.replace("{}", "")):
                        yield text


def _raised(function: ast.AST, known: dict[str, list[ast.expr]]) -> Iterator[tuple[str, str]]:
    for call in ast.walk(function):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name not in errors.__all__ or not isinstance(getattr(errors, name), type):
            continue
        for word in call.keywords:
            if word.arg == "hint":
                yield from (("hint", text) for text in _texts(word.value, known))
        if call.args:
            kind = "named" if name in NAMED else "message"
            yield from ((kind, text) for text in _texts(call.args[0], known))


def _assigned(nodes: Any) -> dict[str, list[ast.expr]]:
    found: dict[str, list[ast.expr]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
    return found


def _texts(node: ast.expr, known: dict[str, list[ast.expr]], depth: int = 0) -> list[str]:
    """Return what an expression may say, `{}` standing for what cannot be read."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else [""]
    if isinstance(node, ast.JoinedStr):
        return ["".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)]
    if depth < 6:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = _texts(node.left, known, depth + 1), _texts(node.right, known, depth + 1)
            return [a + b for a in left for b in right]
        if isinstance(node, ast.IfExp):
            return _texts(node.body, known, depth + 1) + _texts(node.orelse, known, depth + 1)
        if isinstance(node, ast.Name) and node.id in known:
            return [text for value in known[node.id] for text in _texts(value, known, depth + 1)]
    return ["{}"]
