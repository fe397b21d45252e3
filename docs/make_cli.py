"""Write docs/cli.md from the program's own help; a test compares the two.

python docs/make_cli.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

HEAD = """# Command line

Every option of `fantascope imagine` is a field of the request, so this page is made from the program's own help:
`python docs/make_cli.py`. `--debug` anywhere shows the traceback behind an error; `--json` prints one JSON object a
line.

Exit codes: 0 done, 1 it failed (or not everything holds), 2 the request was wrong, 3 refused by policy, 130 stopped by
Ctrl-C, 70 a bug of ours.
"""


def page() -> str:
    """Return the page as Markdown."""
    import typer

    from fantascope.cli.app import app

    parts = [HEAD]
    _walk(typer.main.get_command(app), "fantascope", parts)
    return "\n".join(parts)


def _walk(command: Any, name: str, parts: list[str]) -> None:
    parts.append(f"## `{name}`\n\n{command.help or ''}\n")
    rows = []
    for parameter in command.params:
        if parameter.name == "help":
            continue
        names = ", ".join(f"`{option}`" for option in parameter.opts) if parameter.opts else f"`{parameter.name}`"
        if parameter.param_type_name == "argument":
            names = f"`{parameter.name.upper()}`"
        rows.append(f"| {names} | {getattr(parameter, 'help', None) or ''} |")
    if rows:
        parts.append("| option | meaning |\n|---|---|\n" + "\n".join(rows) + "\n")
    for sub in getattr(command, "commands", {}).values():
        _walk(sub, f"{name} {sub.name}", parts)


if __name__ == "__main__":
    Path(__file__).with_name("cli.md").write_text(page(), "utf-8")
