"""The files of the studio in a browser: what they may hold, how they are sent, and how much they weigh."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serve.studio.scripts import LANGUAGES, PAGE, asked, needed, own_scripts, words

ROOT = Path(__file__).parents[3]
MOST_FIRST = 400_000
"""Bytes until the first prompt can be written."""
DIRECTIVES = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob: data:",
    "connect-src": "'self'",
    "font-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


class Tags(HTMLParser):
    """Collects the tags of a page, and what stands inside scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self._open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        """Note what a script or style holds."""
        if self._open in ("script", "style") and data.strip():
            self.inside.append(data)


@pytest.fixture(scope="module")
def open_client(studio: Any) -> Any:
    """A client without token and cookie."""
    with httpx.Client(base_url=studio.url) as client:
        yield client


def test_the_page_says_what_may_run_on_it(open_client: Any) -> None:
    for path in ("/", "/js/app.js", "/style.css", "/icon.svg", "/vendor/htm-preact.js", "/login?code=no"):
        reply = open_client.get(path)
        told = dict(part.strip().split(" ", 1) for part in reply.headers["content-security-policy"].split(";"))
        assert told == DIRECTIVES, path
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["cross-origin-opener-policy"] == "same-origin"


def test_the_page_holds_no_script_or_style_of_its_own() -> None:
    pages = sorted(PAGE.rglob("*.html"))
    assert pages
    for path in pages:
        tags = Tags()
        tags.feed(path.read_text("utf-8"))
        assert not tags.inside, path
        for tag, attributes in tags.tags:
            assert tag != "style"
            assert tag != "script" or attributes.get("src"), path
            assert not [name for name in attributes if name == "style" or name.startswith("on")], path
            for name in ("src", "href"):
                assert not re.match(r"(?:[a-z]+:)?//|data:|javascript:", attributes.get(name) or ""), attributes


def test_colours_are_written_once_for_both_themes() -> None:
    for path in PAGE.rglob("*.css"):
        source = path.read_text("utf-8")
        names = re.findall(r"[{;\s](--[\w-]+):", source)
        assert "prefers-color-scheme" not in source, path
        again = {name for name in names if names.count(name) > 1} - {"--part", "--bar", "--column"}
        assert not again, path


def test_no_script_does_what_the_policy_forbids() -> None:
    forbidden = (
        r"\beval\(",
        r"\bnew Function\(",
        r"\.innerHTML\b|\.outerHTML\b|insertAdjacentHTML|document\.write\b|dangerouslySetInnerHTML",
        r"<style[\s>]",
        r"setAttribute\(\s*[\"']style",
        r"\bstyle=\"",
        r"javascript:",
        r"https?://(?!www\.w3\.org/)",
        r"set(?:Timeout|Interval)\(\s*[\"'`]",
    )
    found = [
        (path.name, hit[0])
        for path in own_scripts()
        for rule in forbidden
        for hit in re.finditer(rule, path.read_text("utf-8"))
    ]
    assert not found
    for path in PAGE.rglob("*.css"):
        assert not re.findall(r"@import|url\((?!\s*[\"']?(?:data:image/|#))", path.read_text("utf-8")), path


def test_files_come_as_what_they_are_and_once(open_client: Any) -> None:
    kinds = {"/": "text/html", "/js/app.js": "text/javascript", "/style.css": "text/css", "/icon.svg": "image/svg+xml"}
    for path, kind in kinds.items():
        reply = open_client.get(path)
        assert reply.status_code == 200
        assert reply.headers["content-type"].partition(";")[0] == kind
        assert reply.headers["cache-control"] == "no-cache"
        again = open_client.get(path, headers={"If-None-Match": reply.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert open_client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_files_are_packed_for_who_can_unpack_them(studio: Any) -> None:
    with httpx.Client(base_url=studio.url) as client:
        packed = client.get("/js/app.js", headers={"Accept-Encoding": "gzip, br"})
        plain = client.get("/js/app.js", headers={"Accept-Encoding": "identity"})
        assert packed.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert packed.text == plain.text == (PAGE / "js" / "app.js").read_text("utf-8")
        assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
        assert packed.headers["etag"] != plain.headers["etag"]
        assert packed.headers["vary"] == "Accept-Encoding"


OUT = (
    "/js/../site.py",
    "/js/..%2f..%2fsite.py",
    "/js/%2e%2e/%2e%2e/app.py",
    "/js/....//app.js",
    "/js//etc/passwd",
    "/js/%2fetc%2fpasswd",
    "/js/app.js%00.html",
    "/js/app.js/",
    "/js\\..\\..\\site.py",
    "/js/..%5c..%5csite.py",
    "/vendor/../../links.py",
    "/css/.hidden.css",
    "/js/",
    "/js/views",
    "/page/index.html",
    "/site.py",
    "/js/" + "a/" * 200 + "app.js",
    "/js/" + "a" * 5000 + ".js",
    "/vendor/htm-preact.js.map",
)


@pytest.mark.parametrize("path", OUT)
def test_no_address_leads_out_of_the_page(studio: Any, path: str) -> None:
    import http.client

    host = studio.url.removeprefix("http://")
    line = http.client.HTTPConnection(host, timeout=20)
    line.putrequest("GET", path, skip_host=True)
    line.putheader("Host", host)
    line.endheaders()
    reply = line.getresponse()
    body = reply.read()
    line.close()
    assert reply.status == 404, body[:200]
    assert b'"not_found"' in body


def test_a_link_in_the_folder_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fantascope.serve import site

    (tmp_path / "page" / "js").mkdir(parents=True)
    (tmp_path / "secret.js").write_text("secret")
    (tmp_path / "page" / "js" / "real.js").write_text("real")
    (tmp_path / "page" / "js" / "linked.js").symlink_to(tmp_path / "secret.js")
    monkeypatch.setattr(site, "PAGE", tmp_path / "page")
    assert site.page_bytes("js/real.js") == b"real"
    assert site.page_bytes("js/linked.js") is None


def test_a_server_without_the_page_has_none(studio: Any, tmp_path: Path) -> None:
    from fastapi.testclient import TestClient

    from fantascope.serve.app import create_app
    from fantascope.serve.options import Options
    from fantascope.settings import Settings
    from fantascope.studio import Studio

    with Studio(Settings(home=tmp_path / "home"), files=False) as made:
        app = create_app(made, Options(token="t" * 20, page=False))
        client = TestClient(app, base_url="http://localhost")
        assert client.get("/healthz").status_code == 200
        for path in ("/", "/js/app.js", "/login?code=x"):
            assert client.get(path, follow_redirects=False).status_code == 404, path
        assert client.post("/session", json={"token": "t" * 20}, headers={"X-Fantascope": "1"}).status_code == 404
        client.close()


def test_bytes_until_the_first_prompt_can_be_written() -> None:
    index = (PAGE / "index.html").read_text("utf-8")
    parts = {"index.html"} | set(re.findall(r'(?:href|src)="([^"]+)"', index))
    parts |= needed("js/app.js") | needed("js/views/imagine.js")
    assert "vendor/htm-preact.js" in parts
    assert not [name for name in parts if "konva" in name]
    for language in LANGUAGES:
        spoken = {path.relative_to(PAGE).as_posix() for path in (PAGE / "lang" / language).iterdir()}
        spoken -= {"lang/es/english.json"}  # the dictionary is fetched once something was written
        weights = {name: (PAGE / name).stat().st_size for name in sorted(parts | spoken)}
        print(f"{language}: {sum(weights.values())} bytes in {len(weights)} files")
        assert sum(weights.values()) <= MOST_FIRST, weights


def test_the_page_asks_for_the_scripts_of_its_frame_at_once() -> None:
    index = (PAGE / "index.html").read_text("utf-8")
    early = re.findall(r'<link rel="modulepreload" href="([^"]+)">', index)
    assert sorted([*early, "js/app.js"]) == sorted(needed("js/app.js"))


def test_every_word_is_there_in_both_languages() -> None:
    known: set[str] = set()
    for path in own_scripts():
        found = words(path.read_text("utf-8"))
        en, es = (found[language] for language in LANGUAGES)
        assert set(en) == set(es), path
        for key, text in en.items():
            assert text.strip() and es[key].strip(), (path, key)
            assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", es[key])), (path, key)
            assert text.count("|") == es[key].count("|"), (path, key)
        assert not known & set(en), (path, known & set(en))
        known |= set(en)
    assert len(known) > 150
    missing = {(path.name, key) for path in own_scripts() for key in asked(path.read_text("utf-8")) - known}
    assert not missing


def test_the_reader_of_words_reads_them() -> None:
    en = """{ "a.b": "One, {n}: {x}", c: 'two' + "three" /* en: { */ }"""
    source = """es: { "a.b": "Uno", 'c': "dos" } }); t("a.b"); t('c', { n: 1 }); set("d");"""
    source = f"addWords({{ en: {en}, {source}"
    apart = f"const en = {en};\nconst es = {{ c: 'dos', 'a.b': 'Uno' }};\naddWords({{ en, es }});"
    assert words(apart) == words(source)
    assert words(source) == {"en": {"a.b": "One, {n}: {x}", "c": "twothree"}, "es": {"a.b": "Uno", "c": "dos"}}
    assert asked(source) == {"a.b", "c"}


def test_the_page_is_in_the_wheel() -> None:
    from hatchling.builders.wheel import WheelBuilder

    builder = WheelBuilder(str(ROOT))
    packed = {file.distribution_path for file in builder.recurse_included_files()}
    mine = {f"fantascope/serve/page/{path.relative_to(PAGE).as_posix()}" for path in PAGE.rglob("*") if path.is_file()}
    assert len(mine) > 20
    assert mine <= packed


def test_what_others_wrote_is_named_with_its_licence() -> None:
    notice = (ROOT / "NOTICE").read_text("utf-8")
    for path in sorted((PAGE / "vendor").glob("*.js")):
        assert path.name in notice
    assert len(list((PAGE / "vendor").glob("*.LICENSE"))) >= 3
    assert "tests/serve/studio/vendor" in notice
