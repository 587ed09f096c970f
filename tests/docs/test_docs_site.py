"""The site of documentation: built without a warning, complete, no dead link; in Chromium quiet and searchable."""

from __future__ import annotations

import functools
import http.server
import importlib
import importlib.util
import re
import threading
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import browser
import docs_site
import pytest

import tfgradkit as tgk
from tfgradkit.__main__ import cli

EXTRA = ("sphinx", "myst_nb", "furo", "sphinx_design", "sphinx_copybutton", "sphinx_click", "ipykernel", "matplotlib")
MODULES = ("attribution", "errors", "layers", "native", "report")
DESK, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the site, built once. The tutorials run here."""
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"the extra docs is not installed: {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = docs_site.build(folder)
    assert done.returncode == 0, done.stdout
    return folder


class Found(HTMLParser):
    """Anchors of a page, what it links to, what it loads, and its pictures."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.loaded, self.pictures = set(), [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors |= {given[key] for key in ("id", "name") if given.get(key)}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in ("script", "img", "iframe", "source", "link"):
            self.loaded += [given[key] for key in ("src", "href") if given.get(key)]
        if tag == "img":
            self.pictures.append(given)


@pytest.fixture(scope="session")
def pages(site):
    return {file: Found(file.read_text()) for file in sorted(site.rglob("*.html"))}


def dead(pages, site, file):
    """The links of a page that lead nowhere."""
    for link in [*pages[file].links, *pages[file].loaded]:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
        there = target.is_file() and target.is_relative_to(site)
        if not there or not leads(parts.fragment, pages.get(target)):
            yield link


def leads(fragment, page):
    return not fragment or page is None or unquote(fragment) in page.anchors


def test_every_page_of_the_folder_is_there(root, site):
    sources = [file.relative_to(root / "docs") for file in (root / "docs").rglob("*.md")]
    assert len(sources) > 30
    assert [s for s in sources if not (site / s).with_suffix(".html").is_file()] == []


def test_no_link_is_dead(pages, site):
    assert {str(file.relative_to(site)): found for file in pages if (found := [*dead(pages, site, file)])} == {}


def test_a_dead_link_would_be_seen(tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<a href='#here' id='here'>1</a><a href='#there'>2</a><a href='no.html'>3</a><img src='no.png'>")
    assert [*dead({page: Found(page.read_text())}, tmp_path, page)] == ["#there", "no.html", "no.png"]


def test_nothing_is_loaded_from_elsewhere(pages):
    assert [link for found in pages.values() for link in found.loaded if urlsplit(link).netloc] == []


def public_names():
    yield from (f"tfgradkit.{name}" for name in tgk.__all__ if name not in (*MODULES, "types"))
    yield "module-tfgradkit.types"  # whose classes stand where they are returned
    for module in MODULES:
        yield f"module-tfgradkit.{module}"
        names = getattr(importlib.import_module(f"tfgradkit.{module}"), "__all__", ("NativeLibrary", "load_native"))
        yield from (f"tfgradkit.{module}.{name}" for name in names)


def test_every_public_name_stands_in_the_reference(pages, site):
    anchors = set().union(*(found.anchors for file, found in pages.items() if file.parent.name == "reference"))
    missing = sorted(set(public_names()) - anchors)
    assert missing == [], "docs/reference/ has a page for each group of names"


def test_every_command_stands_in_the_reference(pages, site):
    anchors = pages[site / "reference" / "command_line.html"].anchors
    assert {f"tfgradkit-{name}" for name in cli.commands} <= anchors


def test_every_error_leads_to_its_section(pages, site):
    for name in tgk.errors.__all__:
        page, anchor = getattr(tgk.errors, name)("it failed").read_on.split("#")
        assert anchor in pages[site / page.removeprefix("docs/").replace(".md", ".html")].anchors


@pytest.mark.parametrize("name", ["training_on_derivatives", "implicit_solver"])
def test_a_tutorial_ran_and_shows_its_figures(pages, site, name):
    file = site / "tutorials" / f"{name}.html"
    assert len(pages[file].pictures) >= 2
    assert all(len(picture.get("alt", "")) > 40 for picture in pages[file].pictures)
    assert "cell_output" in file.read_text()


def test_formulas_are_mathml(site):
    text = (site / "methods" / "implicit_function_theorem.html").read_text()
    assert text.count("<math") > 5
    assert "\\partial" not in text


@pytest.fixture(scope="module")
def address(site):
    """Where the site is served."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet.at(site)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, without a log."""

    @classmethod
    def at(cls, folder):
        return functools.partial(cls, directory=str(folder))

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def tab():
    if browser.find() is None:
        pytest.skip("chromium is not installed")
    with browser.browser() as page:
        yield page


def opened(tab, address, size):
    tab.messages.clear()
    tab.requests.clear()
    tab.size(*size, phone=size == PHONE)
    tab.open(address)
    return tab


def elsewhere(tab, address):
    return [request for request in tab.requests if not request.startswith((address, "data:"))]


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_no_page_complains_asks_elsewhere_or_is_wider_than_its_window(tab, pages, site, address, size):
    wrong = {}
    for file in pages:
        name = str(file.relative_to(site))
        opened(tab, address + name, size)
        width = tab.run("document.documentElement.scrollWidth")
        broken = tab.run("[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)")
        if tab.messages or elsewhere(tab, address) or width != size[0] or broken:
            wrong[name] = (width, tab.messages[:3], elsewhere(tab, address)[:3], broken)
    assert wrong == {}


RESULTS = """
new Promise(done => {
  const look = () => {
    const summary = document.querySelector("#search-results p.search-summary, #search-results > p");
    if (summary && /finished|not match/.test(summary.innerText)) {
      done([...document.querySelectorAll("#search-results ul.search li > a")].map(a => a.href));
    } else { setTimeout(look, 50); }
  };
  look();
})
"""


def test_the_search_finds_what_is_typed(tab, address):
    opened(tab, address + "index.html", DESK)
    tab.run("document.querySelector('input.sidebar-search').focus()")
    tab.send("Input.insertText", text="laplacian")
    tab._events.clear()
    tab.send("Input.dispatchKeyEvent", type="keyDown", key="Enter", windowsVirtualKeyCode=13, text="\r")
    tab.wait("Page.loadEventFired")
    found = tab.run(RESULTS)
    assert "search.html?q=laplacian" in tab.run("location.href")
    assert any("methods/taylor_mode.html" in link for link in found)
    assert any("reference/operators.html" in link for link in found)
    tab.run("new Promise(done => setTimeout(done, 1500))")  # the excerpts come
    assert tab.messages == []
    opened(tab, next(link for link in found if "methods/taylor_mode.html" in link), DESK)
    assert "Taylor mode" in tab.run("document.querySelector('h1').innerText")
    assert tab.messages == []


def test_the_search_says_where_there_is_nothing(tab, address):
    opened(tab, address + "search.html?q=zyzzyva", DESK)
    assert tab.run(RESULTS) == []


def test_the_search_works_in_files_too(tab, site):
    opened(tab, (site / "search.html").as_uri() + "?q=checkpoint", PHONE)
    assert any("checkpointing.html" in link for link in tab.run(RESULTS))
    assert tab.messages == []


def test_a_word_of_an_error_message_is_found(tab, address):
    opened(tab, address + "search.html?q=SignatureError", DESK)
    assert any("errors.html" in link for link in tab.run(RESULTS))


def test_scripts_docs_is_like_the_others(root):
    text = (root / "scripts" / "docs").read_text()
    assert "EXTRAS=docs\n" in text
    assert re.search(r"^\. .*environment", text, re.MULTILINE)
