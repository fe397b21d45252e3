"""The setting of a prompt: place, background, time, style and light, apart from its things."""

from __future__ import annotations

from fantascope.prompt.parse import parse

STILL = frozenset(("in", "on", "at", "under", "by", "inside", "against", "over", "across", "near", "before", "during"))
"""Words that join a setting and say nothing of what somebody does there; all others become `in`."""

SETTING = ("place", "backdrop", "time", "style", "light")


def local_prompt(words: str, prompt: str) -> str:
    """Return a prompt for a part of a picture: these words, and the setting of the whole.

    Example:
        >>> local_prompt("a rose", "a cat and a rose on a blue background")
        'a rose on a blue background'
    """
    parts = parse(prompt).parts
    text = words
    if parts and parts[0].kind == "style" and len(parts) > 1 and parts[1].lead.lower() == "of":
        text = f"{parts[0].text} of {words}" if words else parts[0].text
        parts = parts[1:]
    for part in parts:
        if part.kind in SETTING:
            joined = "" if part.lead in ("", ",", "and") else part.lead if part.lead.lower() in STILL else "in"
            text = f"{text} {joined} {part.text}" if joined and text else f"{text}, {part.text}" if text else part.text
    return " ".join(text.split())


def setting_of(prompt: str) -> str:
    """Return a prompt without its things; the prompt itself where nothing else is in it.

    Example:
        >>> setting_of("a cat and a rose on a blue background")
        'a blue background'
    """
    return local_prompt("", prompt) or prompt


def on_plain(prompt: str) -> str:
    """Return a prompt with a plain background, unless it names one: white, or blue behind something white.

    Example:
        >>> on_plain("a rose")
        'a rose on a white background'
    """
    if any(part.kind in ("place", "backdrop") for part in parse(prompt).parts):
        return prompt
    ground = "blue" if "white" in prompt.lower().split() else "white"
    return f"{prompt} on a {ground} background"


def alone_prompt(words: str, prompt: str) -> str:
    """Return a prompt for a thing by itself on a plain background, in the style of a whole prompt.

    Example:
        >>> alone_prompt("a hat", "a cat in the snow, pencil sketch")
        'a hat on a white background, pencil sketch'
    """
    styles = [part.text for part in parse(prompt).parts if part.kind == "style" and part.lead in (",", "in")]
    return ", ".join([on_plain(words), *styles])
