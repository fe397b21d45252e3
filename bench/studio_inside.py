"""The studio's page at work: how late a preview is on the screen, and how much memory many pictures take."""

from __future__ import annotations

import json
import statistics
import threading
import time
from pathlib import Path
from typing import Any

from studio_pages import Studio, page_of
from tools import PROMPT

STEPS, RUNS = 30, 5
BATCH = 8
WATCH = """() => {
  const shown = window.shown = [];
  const look = (image) => {
    const { src } = image;
    if (!src.startsWith("data:image/")) return;
    image.decode().then(() => requestAnimationFrame(() => requestAnimationFrame(() => {
      shown.push([src.slice(-64), performance.timeOrigin + performance.now()]);
    })), () => {});
  };
  new MutationObserver((changes) => {
    for (const { target, addedNodes } of changes) {
      if (target.matches?.("img")) look(target);
      for (const one of addedNodes) for (const image of one.querySelectorAll?.("img") ?? []) look(image);
    }
  }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["src"] });
}"""
"""Notes the moment after the frame in which a preview is on the screen, by the end of its data."""

JOB = """async () => (await import("/js/store.js")).jobs.list()[0]?.id ?? null"""
PAINT = """async ([prompt, n, seed, steps]) => {
  const { start } = await import("/js/imagine/runs.js"), { track } = await import("/js/store.js");
  const job = await start("imagine", { prompt, n, seed, steps, preview: true });
  return (await track(job)).status;
}"""
"""Starts a run as the page does, and waits until it ended."""


def preview(browser: Any, server: Studio) -> None:
    """Print how long after a plain client hears of a step its preview is on the screen."""
    heard: dict[str, float] = {}
    with page_of(browser, server) as page:
        page.goto(server.link())
        page.wait_for_selector(server.box)
        page.evaluate(
            """async (steps) => {
          const { recall, remember } = await import("/js/store.js");
          remember("imagine.form", { ...recall("imagine.form", {}), n: 1, steps, adapters: [], controls: [] });
        }""",
            STEPS,
        )
        page.reload()
        page.wait_for_selector(server.box)
        page.evaluate(WATCH)
        page.locator(server.box).fill(PROMPT)
        before = None
        for k in range(1, RUNS + 1):
            page.keyboard.press(server.enter)
            while (job := page.evaluate(JOB)) == before:
                page.wait_for_timeout(5)
            before = job
            listener = threading.Thread(target=listen, args=(server, job, heard))
            listener.start()
            page.wait_for_function("k => document.querySelectorAll('.im-kept').length === k", arg=k)
            listener.join()
        shown = page.evaluate("shown")
    late = sorted(at - heard[tail] for tail, at in shown if tail in heard)
    print(f"\nin {RUNS} runs: {len(heard)} previews heard, {len(shown)} shown, {len(late)} of them compared")
    print(
        f"  on the screen {statistics.median(late):.0f} ms after a plain client has the event"
        f" (p95 {late[int(0.95 * (len(late) - 1))]:.0f}, most {late[-1]:.0f})"
    )


def listen(server: Studio, job: str, heard: dict[str, float]) -> None:
    """Hear a job's steps; note when each preview came, in milliseconds since 1970, by the end of its data."""
    with server.client() as client, client.stream("GET", f"/jobs/{job}/events") as reply:
        kind = ""
        for line in reply.iter_lines():
            if line.startswith("event:"):
                kind = line[6:].strip()
            elif line.startswith("data:") and kind == "step":
                found = json.loads(line[5:]).get("preview")
                if found:
                    heard.setdefault(found[-64:], time.time() * 1000)
            elif kind in ("done", "failed", "cancelled") and not line:
                return


def memory(browser: Any, server: Studio, pictures: int) -> None:
    """Paint many pictures on one page; print its heap and memory after a forced collection of garbage."""
    with page_of(browser, server) as page:
        page.goto(server.link())
        page.wait_for_selector(server.box)
        line = page.context.new_cdp_session(page)
        line.send("Performance.enable")
        print(f"\nmemory of the page, after a collection of garbage; runs of {BATCH} pictures of 512x512 with previews")
        print(f"  {'pictures':<22}{'heap, MB':>10}{'nodes':>8}{'listeners':>11}{'process, MB':>13}{'storage, kB':>13}")
        done = 0
        say("none", facts(browser, page, line))
        for stop in (BATCH, pictures // 2, pictures):
            while done < stop:
                status = page.evaluate(PAINT, [PROMPT, BATCH, done, 4])
                assert status == "done", status
                done += BATCH
            page.wait_for_function(
                "count => document.querySelectorAll('.im-kept').length >= count", arg=min(done, 60 * BATCH)
            )
            for _ in range(20):
                page.mouse.wheel(0, 2000)
                page.wait_for_timeout(30)
            say(str(done), facts(browser, page, line))
        press(browser)
        say(f"{done}, under pressure", facts(browser, page, line))
        page.evaluate("location.hash = '#/jobs'")
        page.wait_for_selector(".jb")
        say(f"{done}, at Jobs", facts(browser, page, line))
        page.reload()
        page.wait_for_selector(".jb")
        say(f"{done}, after a refresh", facts(browser, page, line))


def press(browser: Any) -> None:
    """Let the browser believe that memory is short: it gives back what it can make again, such as decoded pictures."""
    line = browser.new_browser_cdp_session()
    line.send("Memory.simulatePressureNotification", {"level": "critical"})
    line.detach()
    time.sleep(1.5)


def say(what: str, row: dict[str, float]) -> None:
    """Print a line of the table."""
    heap, nodes, listeners, process, kept = row.values()
    print(f"  {what:<22}{heap:10.2f}{nodes:8.0f}{listeners:11.0f}{process:13.1f}{kept:13.1f}", flush=True)


def facts(browser: Any, page: Any, line: Any) -> dict[str, float]:
    """Return heap (MB), nodes, listeners, private memory of the page's process (MB) and what it remembers (kB)."""
    for _ in range(3):
        line.send("HeapProfiler.collectGarbage")
        page.wait_for_timeout(150)
    found = {one["name"]: one["value"] for one in line.send("Performance.getMetrics")["metrics"]}
    kept = page.evaluate("Object.entries(localStorage).reduce((sum, [key, text]) => sum + key.length + text.length, 0)")
    return {
        "heap": found["JSHeapUsedSize"] / 1e6,
        "nodes": found["Nodes"],
        "listeners": found["JSEventListeners"],
        "process": private(browser),
        "kept": kept / 1000,
    }


def private(browser: Any) -> float:
    """Return the private memory of the browser's largest renderer in MB."""
    line = browser.new_browser_cdp_session()
    found = line.send("SystemInfo.getProcessInfo")["processInfo"]
    line.detach()
    sizes = [own(int(one["id"])) for one in found if one["type"] == "renderer"]
    return max(sizes, default=float("nan"))


def own(pid: int) -> float:
    """Return the private memory of a process in MB."""
    rows = (row.split() for row in Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8").splitlines()[1:])
    return sum(int(row[1]) for row in rows if row[0].startswith("Private_")) / 1024
