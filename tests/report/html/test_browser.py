"""report.html in headless Chromium: it loads, filters, searches, shows attacks as text, and fits a phone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import Visit, chromium
from report_world import document, write_run

from selkit.report.html import html_page, read_items

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.version_info[:2] != (3, 11), reason="a page is the same under every Python: seen under 3.11"
    ),
]

PAYLOADS = (
    "<script>document.title='owned'</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "<img src='http://127.0.0.1:9/leak.png'>",
    '"><svg/onload=alert(3)>',
    "' onmouseover='alert(4)' x='",
    "</title></style></textarea></pre><iframe srcdoc='<script>alert(5)</script>'></iframe>",
    "<a href=javascript:alert(6)>click</a>",
    "<style>*{background:url(http://127.0.0.1:9/s)}</style>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
    "<link rel=stylesheet href=http://127.0.0.1:9/x.css><base href=http://127.0.0.1:9/>",
    "{{constructor.constructor('alert(7)')()}}",
    "\u202e\u0000<b>",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all tests of this file."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with everything in it."""
    folder = write_run(tmp_path_factory.mktemp("run"))
    (folder / "report.html").write_text(html_page(document(), read_items(folder)), "utf-8")
    return folder / "report.html"


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [("wide", 1280, "light"), ("dark", 1280, "dark"), ("phone", 390, "light"), ("small", 320, "dark")],
)
def test_the_page_loads_without_errors_or_requests_and_fits(
    browser: Any, report: Path, tmp_path: Path, name: str, width: int, scheme: str
) -> None:
    """Nothing on the console, nothing asked for but the file itself, no sideways scrolling, readable contrast."""
    visit = Visit(browser, report, width=width, scheme=scheme)
    visit.keep(name, tmp_path)
    assert visit.said == []
    assert visit.asked == [report.as_uri()]
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    dark = visit.page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")
    assert visit.page.evaluate(_CONTRAST) == []


_CONTRAST = """() => {
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (text) => {
    const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = parts(text).map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (parts(colour).length === 3) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const weak = [];
  for (const element of document.querySelectorAll('p, li, td, th, h1, h2, h3, a, .badge, summary, text, dt, dd, pre')) {
    if (!element.textContent.trim()) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(element.tagName === 'text' ? style.fill : style.color), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) weak.push(`${element.tagName}.${element.getAttribute('class')} ${ratio.toFixed(2)}`);
  }
  return [...new Set(weak)];
}"""


def test_labels_of_figures_do_not_hide_each_other(browser: Any, report: Path) -> None:
    """No two texts of one figure overlap, on a phone and on a screen, and none is outside of its figure."""
    for width in (390, 1280):
        visit = Visit(browser, report, width=width)
        visit.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert visit.page.evaluate(_OVERLAPS) == []


_OVERLAPS = """() => {
  const found = [];
  for (const svg of document.querySelectorAll('svg.band, svg.chart')) {
    const outer = svg.getBoundingClientRect();
    const boxes = [...svg.querySelectorAll('text')].map((one) => [one.textContent, one.getBoundingClientRect()]);
    boxes.forEach(([name, box], place) => {
      if (box.left < outer.left - 12 || box.right > outer.right + 12) found.push(`${name} leaves its figure`);
      for (const [other, more] of boxes.slice(place + 1)) {
        const wide = Math.min(box.right, more.right) - Math.max(box.left, more.left);
        const high = Math.min(box.bottom, more.bottom) - Math.max(box.top, more.top);
        if (wide > 1 && high > 3) found.push(`${name} over ${other}`);
      }
    });
  }
  return found;
}"""


def test_filters_narrow_the_list_and_one_item_shows_both_answers(browser: Any, report: Path) -> None:
    """Counts follow the filters; an item shows prompt, reference, two answers and the raw text of every pass."""
    visit = Visit(browser, report)
    page = visit.page
    assert visit.count().startswith("96 of 96 items")
    page.select_option("#filter-benchmark", label="coachlm")
    assert visit.count().startswith("48 of 96 items")
    page.select_option("#filter-outcome", label="no verdict")
    assert visit.count() == "4 of 96 items: 4 no verdict"
    assert all("Question p3?" in row for row in visit.rows())
    page.select_option("#filter-arm", label="oracle")
    assert visit.count() == "2 of 96 items: 2 no verdict"
    page.locator("#rows .row").first.click()
    visit.until("document.querySelector('#item').innerText.includes('the judge declined')")
    page.select_option("#filter-outcome", "")
    page.select_option("#filter-arm", "")
    page.select_option("#filter-category", label="coding")
    assert "12 of 96 items" in visit.count()
    page.locator("#rows .row").first.click()
    visit.until("document.querySelector('#item').innerText.includes('Question p1?')")
    shown = page.locator("#item").inner_text()
    for text in (
        "reference 1",
        "answer of cell 0 on p1",
        "anchor on p1",
        "said of cell 0 on p1 first",
        "said of cell 0 on p1 second",
    ):
        assert text in shown
    page.locator("#item .side select").nth(1).select_option(label="oracle 2")
    visit.until("document.querySelectorAll('#item .side')[1].innerText.includes('answer of cell 3 on p1')")
    assert "said of cell 3 on p1 second" in page.locator("#item .side").nth(1).inner_text()


def test_search_finds_prompts_answers_and_raw_texts(browser: Any, report: Path) -> None:
    """In any text, whatever its case; nothing found is said; an empty search shows all again."""
    visit = Visit(browser, report)
    page = visit.page
    for needle, count in (
        ("QUESTION P7", "4 of"),
        ("said of cell 2 on p4", "1 of"),
        ("the judge declined", "4 of"),
        ("nowhere", "0 of"),
    ):
        page.fill("#filter-search", needle)
        visit.until(f"document.querySelector('#count').innerText.startsWith('{count}')")
    page.fill("#filter-search", "")
    visit.until("document.querySelector('#count').innerText.startsWith('96 of')")


def test_the_list_is_moved_through_by_keys(browser: Any, report: Path) -> None:
    """Arrow keys choose the next item and keep it in sight."""
    visit = Visit(browser, report)
    visit.page.focus("#list")
    for _ in range(30):
        visit.page.keyboard.press("ArrowDown")
    chosen = visit.page.locator("#rows .row[aria-selected=true]")
    assert chosen.get_attribute("id") == "row-30"
    box, frame = chosen.bounding_box(), visit.page.locator("#list").bounding_box()
    assert frame["y"] - 1 <= box["y"] <= frame["y"] + frame["height"]
    assert len(visit.rows()) < 40


@pytest.mark.parametrize("width", [1280, 390])
def test_attacks_show_as_text(browser: Any, tmp_path: Path, width: int) -> None:
    """As prompts, answers, judge texts, names and plugin strings: no dialog, no request, no element, no new title."""
    poison = " ".join(PAYLOADS)

    def say(text: str) -> str:
        return f"{text} {poison}"

    folder = write_run(tmp_path, say=say)
    whole = document(arms=("random", "oracle"), pools=("dolly",), budgets=("500",), say=say)
    (folder / "report.html").write_text(html_page(whole, read_items(folder)), "utf-8")
    visit = Visit(browser, folder / "report.html", width=width)
    page = visit.page
    for place in range(3):
        page.locator(f"#row-{place}").click()
        visit.until(f"document.querySelector('#item').innerText.includes('Question p{place}? <script>')")
    page.fill("#filter-search", "onerror=alert")
    visit.until("document.querySelector('#count').innerText.startsWith('96 of')")
    page.hover("#row-0")
    page.wait_for_timeout(200)
    visit.keep(f"attack-{width}", tmp_path, whole=False)
    assert visit.dialogs == []
    assert visit.asked == [(folder / "report.html").as_uri()]
    assert (
        page.evaluate("document.querySelectorAll('img, iframe, base, object, embed, a[href^=javascript]').length") == 0
    )
    assert page.evaluate("[...document.scripts].filter((one) => !one.type).length") == 1
    assert page.title().startswith("world <script>")
    assert "<img src=x onerror=alert(2)>" in page.locator("#item pre").first.inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [line for line in visit.said if "Trusted" in line or "Security" in line] == []


def test_the_policy_holds_where_a_text_did_become_markup(browser: Any, report: Path, tmp_path: Path) -> None:
    """Second line of defence: with markup smuggled into the file, no script runs and no style holds."""
    attack = (
        "<main><script>document.title='owned'</script>"
        "<img src='http://127.0.0.1:9/leak.png' onerror=\"document.title='owned'\">"
        "<p id=styled style='color: rgb(1, 2, 3)'>x</p>"
    )
    page = report.read_text("utf-8").replace("<main>", attack, 1)
    (tmp_path / "report.html").write_text(page, "utf-8")
    visit = Visit(browser, tmp_path / "report.html")
    assert visit.page.title() == "world \N{MIDDLE DOT} selkit report"
    assert visit.page.evaluate("getComputedStyle(document.getElementById('styled')).color") != "rgb(1, 2, 3)"
    sunk = "() => { try { document.body.innerHTML = '<b>x</b>'; } catch (error) { return 'refused'; } }"
    assert visit.page.evaluate(sunk) == "refused"


def test_print_opens_what_is_folded(browser: Any, report: Path, tmp_path: Path) -> None:
    """On paper stand the figures and tables, and no list of items."""
    visit = Visit(browser, report)
    visit.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    visit.page.emulate_media(media="print")
    visit.keep("print", tmp_path)
    assert visit.page.evaluate("[...document.querySelectorAll('details')].every((one) => one.open)")
    assert not visit.page.locator("#browser").is_visible()
    assert not visit.page.locator("nav").is_visible()
