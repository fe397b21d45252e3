"""`fantascope studio`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
from tests.homes import lend


def test_it_opens_the_browser_with_a_link_and_says_where_it_is(tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o755)
    home = lend(tmp_path / "home")
    environ = os.environ | {"FANTASCOPE_HOME": str(home), "BROWSER": f"{browser} %s", "PYTHONWARNINGS": ""}
    command = [sys.executable, "-m", "fantascope", "studio", "--port", "0"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        lines = [running.stdout.readline()]
        while "Ctrl-C" not in lines[-1]:
            lines.append(running.stdout.readline())
            assert lines[-1], "it ended"
        end = time.monotonic() + 20
        while not opened.exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        link = opened.read_text()
        url = re.fullmatch(r"The studio is at (http://127\.0\.0\.1:\d+)\n", lines[0])
        assert url is not None
        assert link.startswith(url[1] + "/login?code=")
        with httpx.Client() as client:
            assert client.get(link).status_code == 303
            assert client.get(url[1] + "/v1/fantascope/account").json()["operator"] is True
        running.send_signal(signal.SIGTERM)
        logged = running.communicate(timeout=40)[1]
    assert running.returncode == 0, logged
    assert link in "".join(lines)
    assert link.partition("=")[2] not in logged, "a log that somebody reads must not let them in"


def test_a_wrong_option_is_named(tmp_path: Path) -> None:
    environ = os.environ | {"FANTASCOPE_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "fantascope", "studio", "--no-browser", "--certificate", "nowhere.pem"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert done.returncode == 2
    assert "--certificate and --key" in done.stderr
