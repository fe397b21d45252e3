"""What a test reads in the scripts of the page, without running them."""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import join, normpath

import fantascope.serve.site as site

PAGE = site.PAGE
LANGUAGES = ("en", "es")

_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
    r"""|(?P<word>[A-Za-z_$][\w$]*)|(?P<mark>[{}:,])|(?P<other>\S)""",
    re.DOTALL,
)
_IMPORT = re.compile(
    r"""^\s*(?:import|export)\b[^"';]*?\bfrom\s*["']([^"']+)["']|^\s*import\s*["']([^"']+)["']""", re.M
)
_ASKED = re.compile(r"""\bt\(\s*["']([\w.-]+)["']""")


def own_scripts() -> list[Path]:
    """Return the scripts that were written here."""
    return sorted(PAGE.joinpath("js").rglob("*.js"))


def words(source: str) -> dict[str, dict[str, str]]:
    """Return what a script adds: language, key, text.

    It says `addWords({ en: {…}, es: {…} })`, or `const en = {…}; const es = {…}; addWords({ en, es })`.
    """
    found: dict[str, dict[str, str]] = {language: {} for language in LANGUAGES}
    for start in re.finditer(r"\baddWords\(\s*\{", source):
        _read(source, start.end(), found)
    for start in re.finditer(r"^const (en|es) = \{", source, re.M):
        _read(source, start.end(), found, start[1])
    return found


def _read(source: str, at: int, found: dict[str, dict[str, str]], language: str = "") -> None:
    """Read an object from behind its brace on: of both languages, or of the one that is given."""
    least = 2 if language else 1
    depth, key, before, colon = least, "", "", False
    for token in _TOKEN.finditer(source, at):
        kind, text = token.lastgroup, token[0]
        if kind == "comment":
            continue
        if text == "{":
            depth += 1
            language = before if depth == 2 and least == 1 else language
        elif text == "}":
            depth -= 1
            if depth < least:
                return
        elif text == ":" and depth == 2 and not colon:
            key, colon = before, True
        elif text == "," and depth == 2:
            colon = False
        elif kind == "text" and depth == 2 and colon:
            found[language][key] = found[language].get(key, "") + _plain(text)
        if kind in ("text", "word"):
            before = _plain(text)
        if text == "{":
            colon = False


def _plain(text: str) -> str:
    return text[1:-1] if text[:1] in "\"'" else text


def asked(source: str) -> set[str]:
    """Return the keys that a script asks for by name."""
    return set(_ASKED.findall(source))


def needed(first: str) -> set[str]:
    """Return the scripts, as paths in the page, that a browser fetches for one before it runs."""
    seen: set[str] = set()
    left = [first]
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        source = (PAGE / name).read_text("utf-8") if not name.startswith("vendor/") else ""
        for one, other in _IMPORT.findall(source):
            left.append(normpath(join(name.rpartition("/")[0], one or other)))
    return seen
