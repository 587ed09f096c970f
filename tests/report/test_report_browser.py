"""The report in headless Chromium: quiet, readable in light and dark, on a phone and in print, and it can be zoomed."""

from __future__ import annotations

import browser
import keras
import numpy as np
import pytest

from tfgradkit.report import Limits, write_report
from tfgradkit.report.page import SECTIONS

L = keras.layers
DESK, PHONE = (1200, 900), (390, 844)

# Luminances and their ratio as WCAG 2.2 defines them; the colours behind a text are laid over one another.
CONTRAST = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
    const v = c[i] / 255; return sum + weight * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  }, 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const box = e.tagName === "g" ? e.querySelector("rect") : null;
      const fill = box ? getComputedStyle(box).fill : getComputedStyle(e).backgroundColor;
      const colour = rgba(fill);
      if (colour[3] === 255) return colour;
    }
  };
  const low = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.getClientRects().length || element.closest(".hidden, .skip, script, title")) continue;
    const inside = element instanceof SVGElement;
    const style = getComputedStyle(element);
    const [a, b] = [rgba(inside ? style.fill : style.color), behind(element)].map(luminance);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push(`${element.tagName} ${element.className.baseVal ?? element.className} ` +
      `${element.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return low;
})()
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A report with a small map, a large one, an aggregated one, a problem, a spectrum, and a folded graph."""
    inputs = keras.Input((12,), name="state")
    h = L.Dense(16, "tanh", name="hidden")(inputs)
    for i in range(4):
        h = L.Add(name=f"sum_{i}")([h, L.Dense(16, "tanh", name=f"block_{i}")(h)])
    model = keras.Model(inputs, L.Dense(10, name="out")(h), name="a_model")
    file = tmp_path_factory.mktemp("page") / "report.html"
    limits = Limits(points=5, cells=8, numbers=2, seconds=0.0)
    return write_report(model, file, limits=limits).as_uri()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A report with numbers in its maps, and sections that say why they are missing."""
    file = tmp_path_factory.mktemp("small") / "report.html"
    fn = lambda x: x[0] * x[1:] * [1.0, 1e4]  # noqa: E731
    return write_report(fn, file, np.array([3.0, -2.0, 1.0]), library=file, limits=Limits(seconds=0.0)).as_uri()


@pytest.fixture(scope="module")
def tab():
    if browser.find() is None:
        pytest.skip("chromium is not installed")
    with browser.browser() as page:
        yield page


@pytest.fixture
def show(tab):
    """Opens a page in a window of a size, light or dark."""

    def opened(address, size=DESK, scheme="light", medium=""):
        tab.messages.clear()
        tab.requests.clear()
        tab.look(scheme, medium)
        tab.size(*size, phone=size == PHONE)
        tab.open(address)
        return tab

    return opened


def test_every_section_is_shown_and_nothing_is_asked_for_or_complained_about(show, address, small):
    for page in (address, small):
        tab = show(page)
        facts = "[s.id, s.querySelector('h2').innerText, s.offsetHeight]"
        shown = tab.run(f"[...document.querySelectorAll('section')].map(s => {facts})")
        assert [name for name, _, _ in shown] == [name for name, _, _ in SECTIONS]
        for (_, heading, height), (_, title, _) in zip(shown, SECTIONS, strict=True):
            assert title in heading
            assert height > 60
        assert tab.messages == []
        assert tab.requests == [page]


def test_complaints_and_requests_would_be_seen(show, tmp_path):
    page = tmp_path / "bad.html"
    page.write_text(
        "<!DOCTYPE html><script>console.error('one'); fetch('http://127.0.0.1:9/two').catch(() => 0);"
        "setTimeout(() => { throw new Error('three') })</script>"
    )
    tab = show(page.as_uri())
    tab.run("new Promise(done => setTimeout(done, 300))")
    assert any("one" in message for message in tab.messages)
    assert any("three" in message for message in tab.messages)
    assert "http://127.0.0.1:9/two" in tab.requests


def test_text_that_cannot_be_read_would_be_seen(show, tmp_path):
    page = tmp_path / "pale.html"
    page.write_text(
        "<!DOCTYPE html><body style='background: white'><p style='color: #999'>pale</p><p>fine</p>"
        "<svg><g><rect fill='#111'/><text fill='#222'>dark</text></g></svg>"
    )
    assert [line.split(":")[0].split() for line in show(page.as_uri()).run(CONTRAST)] == [
        ["P", "pale"],
        ["text", "dark"],
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(show, address, small, scheme):
    for page in (address, small):
        tab = show(page, scheme=scheme)
        tab.run("document.querySelectorAll('details').forEach(d => { d.open = true })")
        assert tab.run(CONTRAST) == []


def test_dark_is_dark_and_paper_is_white(show, address):
    colour = "getComputedStyle(document.documentElement).backgroundColor.match(/[0-9.]+/g).map(Number)"
    assert min(show(address).run(colour)) > 240
    assert max(show(address, scheme="dark").run(colour)[:3]) < 40
    tab = show(address, scheme="dark", medium="print")
    assert max(tab.run("getComputedStyle(document.body).color.match(/[0-9.]+/g).map(Number)")[:3]) < 60


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_the_page_is_not_wider_than_its_window(show, address, small, size):
    for page in (address, small):
        tab = show(page, size)
        assert tab.run("innerWidth") == size[0]
        assert tab.run("document.documentElement.scrollWidth") == size[0]
        sizes = "[...document.querySelectorAll('p, td, th, dd')].map(e => parseFloat(getComputedStyle(e).fontSize))"
        assert min(tab.run(sizes)) >= 13


def test_it_prints_whole(show, address, tmp_path):
    tab = show(address)
    tab.pdf(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert tab.run("[...document.querySelectorAll('details')].every(d => d.open)")
    tab = show(address, medium="print")
    assert tab.run("[...document.querySelectorAll('.tools, .hint')].every(e => getComputedStyle(e).display === 'none')")


def test_everything_has_a_name_for_a_screen_reader(show, address):
    tab = show(address)
    nodes = tab.send("Accessibility.getFullAXTree")["nodes"]
    named = {}
    for node in nodes:
        if not node.get("ignored"):
            role = node["role"]["value"]
            named.setdefault(role, []).append(node.get("name", {}).get("value", ""))
    for role in ("button", "table", "image", "region", "link", "navigation", "rowheader", "columnheader"):
        names = named.get(role) or named.get({"image": "img"}.get(role, role), [])
        assert names, role
        assert all(names), role
    assert len(named["table"]) == tab.run("document.querySelectorAll('table').length") - tab.run(
        "document.querySelectorAll('details:not([open]) table').length"
    )


def view_of(tab):
    """Left, top, width and height of what is seen of the first picture."""
    return tab.run("document.querySelector('.stage svg').getAttribute('viewBox').split(' ').map(Number)")


def middle_of(tab):
    tab.run("document.querySelector('.stage').scrollIntoView({block: 'center'})")
    return tab.run("(() => { const b = document.querySelector('.stage').getBoundingClientRect();"
                   "return [b.left + b.width / 2, b.top + b.height / 2] })()")  # fmt: skip


def press(tab, key):
    tab.send("Input.dispatchKeyEvent", type="keyDown", key=key)
    tab.send("Input.dispatchKeyEvent", type="keyUp", key=key)


def test_pictures_are_zoomed_by_buttons_and_keys(show, address):
    tab = show(address)
    start = view_of(tab)
    tab.run("document.querySelector('[data-zoom=in]').click()")
    closer = view_of(tab)
    assert closer[2] == pytest.approx(start[2] / 1.4)
    tab.run("document.querySelector('.stage').focus()")
    press(tab, "-")
    assert view_of(tab)[2] == pytest.approx(start[2])
    press(tab, "0")
    whole = view_of(tab)
    box = "document.querySelector('.stage svg g').getBBox()"
    picture = tab.run(f"[{box}.width, {box}.height]")
    assert whole[2] >= picture[0]
    assert whole[3] >= picture[1]
    for _ in range(4):
        press(tab, "+")
    near = view_of(tab)
    press(tab, "ArrowDown")
    assert view_of(tab)[1] > near[1]
    tab.run("document.querySelector('[data-zoom=all]').click()")
    assert view_of(tab) == pytest.approx(whole)
    assert tab.messages == []


def test_pictures_are_zoomed_by_the_wheel_with_ctrl_alone(show, address):
    tab = show(address)
    x, y = middle_of(tab)
    start = view_of(tab)
    for modifiers in (0, 2):
        tab.send("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=-60, modifiers=modifiers)
        tab.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        changed = view_of(tab) != pytest.approx(start)
        assert changed == bool(modifiers), "without Ctrl the wheel scrolls the page"
        x, y = middle_of(tab)
    now = view_of(tab)
    assert now[2] < start[2]
    # What is under the pointer, the middle, stays there.
    assert now[0] + now[2] / 2 == pytest.approx(start[0] + start[2] / 2, abs=1)


def test_pictures_are_moved_by_dragging_and_zoomed_by_a_pinch(show, address):
    tab = show(address)
    x, y = middle_of(tab)
    tab.run("for (let i = 0; i < 4; i++) document.querySelector('[data-zoom=in]').click()")
    start = view_of(tab)
    tab.send("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1)
    tab.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y - 60, button="left", buttons=1)
    tab.send("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y - 60, button="left", clickCount=1)
    moved = view_of(tab)
    assert moved[1] > start[1]
    assert moved[2] == pytest.approx(start[2])
    touch = lambda kind, *points: tab.send(  # noqa: E731
        "Input.dispatchTouchEvent",
        type=kind,
        touchPoints=[{"x": a, "y": b, "id": i} for i, (a, b) in enumerate(points)],
    )
    touch("touchStart", (x - 20, y), (x + 20, y))
    touch("touchMove", (x - 30, y), (x + 30, y))
    touch("touchMove", (x - 40, y), (x + 40, y))
    touch("touchEnd")
    tab.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert view_of(tab)[2] < moved[2]
