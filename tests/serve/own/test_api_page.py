"""The commands of docs/api.md, run one after the other against a server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "api.md"


@pytest.mark.skipif(shutil.which("curl") is None or shutil.which("bash") is None, reason="curl is not here")
def test_the_commands_of_the_page_do_what_it_says(fresh: Any, tmp_path: Path) -> None:
    text = PAGE.read_text("utf-8")
    blocks = [block for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) if "fantascope serve" not in block]
    assert len(blocks) >= 9
    script = "\n".join(blocks).replace("http://127.0.0.1:7860", fresh.url)
    environ = os.environ | {"TOKEN": fresh.token}
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=environ, capture_output=True)
    assert done.returncode == 0, done.stdout.decode()[-2000:] + done.stderr.decode()[-2000:]
    assert len(json.loads((tmp_path / "form.json").read_text())["artifacts"]) == 2
    told = (tmp_path / "events.txt").read_text()
    assert told.count("event: done") == 1
    assert "data:image/png;base64," in told


def test_every_operation_is_on_the_page(own: Any) -> None:
    text = PAGE.read_text("utf-8")
    tasks = {one["path"] for one in own.get("/tasks").json()["data"]}
    for path in own.get("/openapi.json").json()["paths"]:
        if path not in tasks and path.removesuffix("/quote") not in tasks:
            last = re.sub(r"\{\w+\}", "", path.removeprefix("/v1/fantascope")).rstrip("/").rsplit("/", 1)[-1]
            assert f"/{last}" in text, path
