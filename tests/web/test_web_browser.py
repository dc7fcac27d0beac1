"""The site in Chromium, from files: no request leaves, nothing complains, and all of it is there without a script."""

import pytest
from made_up import drawn, make_entry, make_read, make_result

from bakeoff.web import site

LEAST_CONTRAST = """() => {
  const luminance = (colour) => colour.match(/[0-9.]+/g).slice(0, 3).map((part) => part / 255)
    .map((part) => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (one) => {
    const colour = getComputedStyle(one).backgroundColor;
    return colour === "rgba(0, 0, 0, 0)" ? ground(one.parentElement) : luminance(colour);
  };
  return Math.min(...[...document.querySelectorAll("body *")].filter((one) => one.innerText).map((one) => {
    const [dark, light] = [luminance(getComputedStyle(one).color), ground(one)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  }));
}"""
pytestmark = pytest.mark.xdist_group("browser")  # one Chromium, however many workers

NAMELESS = """() => [...document.querySelectorAll("svg:not([aria-hidden]), img, input, select, button, [role=region], a")]
  .filter((one) => !(one.getAttribute("aria-label") || one.alt || one.innerText || one.labels?.length))
  .map((one) => one.outerHTML)"""
LONG = "https://example.org/" + "a_very_long_word_that_nothing_breaks" * 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A site of three papers in two areas: one decided, with drawings and a failure; one undecided; one not run."""
    treatment = (*(31 + 0.3 * (pair % 4) for pair in range(10)), None)
    good = make_result(treatment=treatment, control=tuple(28 + 0.25 * (pair % 3) for pair in range(11)))
    open_ = make_result("products", title=LONG, data=LONG, unit="percentage points of something")
    open_["trials"][0]["measures"] |= {LONG: 1.0}
    entries = {"sums": make_entry(), "products": make_entry("products", title=LONG, authors=("Emmy",)),
               "letters": make_entry("letters", "offline_rl", authors=("Emmy", "Kurt"), also=("Zweikampf",))}
    folder = tmp_path_factory.mktemp("built") / "site"
    days = (("2026-01-01", 10, 1), ("2026-01-03", 12, 3))
    shelf = [make_read("sums", "library", *days, doubtful=True, because=[LONG]), make_read("later", "wanted", title=LONG, authors=["Emmy"]),
             make_read(title="x" * 10_000, mentions=[{"file": LONG * 3, "entry": 1, "day": None, "popularity": None}], doubtful=True)]
    site.build(folder, entries, {"sums": [drawn(good), {**good, "budget": "smoke"}], "products": [open_]}, shelf)
    return folder


@pytest.fixture
def visit(chromium, folder):
    """Open a page of the site; at the end, nothing may have left the folder and the console must be empty."""
    contexts, asked, told = [], [], []

    def open_page(name="index.html", **options):
        context = chromium.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        contexts.append(context)
        context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda problem: told.append(str(problem)))
        page.goto((folder / name).as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert told == []
    assert [url for url in asked if not url.startswith((folder.as_uri(), "data:"))] == []


def shown(page) -> list[str]:
    return [row.get_attribute("data-verdict") for row in page.locator("tr.paper").all() if row.is_visible()]


def test_a_page_loads_with_no_request_but_for_itself(chromium, folder):
    page = chromium.new_page()
    asked = []
    page.route("**/*", lambda route: (asked.append(route.request.url), route.continue_())[1])
    for name in ("index.html", "papers/sums.html"):
        page.goto((folder / name).as_uri())
        page.wait_for_load_state("networkidle")
    page.close()
    asked = [url for url in asked if not url.startswith("data:")]
    assert asked == [(folder / name).as_uri() for name in ("index.html", "papers/sums.html")]


def test_search_and_filters_narrow_the_index_and_can_be_undone_from_the_keyboard(visit):
    page = visit()
    assert len(shown(page)) == 3
    page.get_by_role("searchbox", name="Search").fill("  EMMY 2026 ")
    assert shown(page) == ["undecided", "not run"]
    assert page.get_by_role("status").inner_text() == "2 papers"
    page.get_by_role("combobox", name="Area").select_option("offline_rl")
    assert shown(page) == ["not run"]
    assert page.get_by_role("status").inner_text() == "1 paper"
    assert page.locator("tbody:visible h2").all_inner_texts() == ["Offline RL"]
    page.get_by_role("searchbox", name="Search").fill("zweikampf")  # a phrase that is not in the text shown
    assert shown(page) == ["not run"]
    page.get_by_role("combobox", name="Verdict").select_option("holds")
    assert shown(page) == []
    page.get_by_role("button", name="Show all").focus()
    page.keyboard.press("Enter")
    assert len(shown(page)) == 3
    assert page.evaluate("document.activeElement.id") == "query"


def test_the_papers_read_are_reached_and_narrowed_by_words_and_by_how_they_are_linked(visit):
    page = visit()
    page.get_by_role("link", name="Papers read").click()
    page.get_by_role("searchbox", name="Search").fill("EMMY")
    assert [row.get_attribute("data-kind") for row in page.locator("tr.paper:visible").all()] == ["Wanted"]
    page.get_by_role("searchbox", name="Search").fill("")
    page.get_by_role("combobox", name="Link").select_option("doubtful")
    page.get_by_role("combobox", name="Kind").select_option("In the library")
    assert page.get_by_role("status").inner_text() == "1 paper"
    page.get_by_role("link", name="On sums").click()
    assert page.get_by_role("heading", level=1).inner_text() == "A paper on sums"


def test_a_paper_is_reached_and_left_by_its_links(visit, folder):
    page = visit()
    page.get_by_role("link", name="A paper on sums").click()
    assert page.url == (folder / "papers/sums.html").as_uri()
    assert page.get_by_role("heading", level=1).inner_text() == "A paper on sums"
    page.get_by_role("link", name="All papers").click()
    assert page.url == (folder / "index.html").as_uri()


def test_everything_is_there_without_a_script(visit):
    index, paper = visit(java_script_enabled=False), visit("papers/sums.html", java_script_enabled=False)
    assert not index.locator("form").is_visible()  # a search that cannot search is not offered
    assert len(shown(index)) == 3
    assert "10 pairs" in index.locator("tr.paper").first.inner_text()
    words = paper.locator("main").inner_text()
    for expected in ("Holds", "Over 10 pairs", "The claim", "Evidence", "What the arms made", "Measures", "Method", "Use it", "Other runs"):
        assert expected in words
    paper.get_by_text("Every pair in numbers").first.click()
    assert paper.get_by_role("table").first.get_by_role("row").count() == 12  # the head, 10 pairs and one that failed


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_on_a_phone_and_text_stands_out_from_its_ground(visit, folder, scheme):
    page = visit(viewport={"width": 375, "height": 700}, color_scheme=scheme)
    for name in ("index.html", "read.html", "papers/sums.html", "papers/products.html", "papers/letters.html"):
        page.goto((folder / name).as_uri())
        page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, name
        assert page.evaluate(LEAST_CONTRAST) >= 4.5, name


@pytest.mark.parametrize("width", [375, 1200])
def test_what_both_arms_drew_stands_side_by_side(visit, width):
    page = visit("papers/sums.html", viewport={"width": width, "height": 800})
    for kind in ("img", "svg.molecule"):
        treatment, control = (page.locator(f".beside figure.{arm} {kind}").first.bounding_box() for arm in ("treatment", "control"))
        assert treatment["y"] == pytest.approx(control["y"], abs=1)
        assert treatment["x"] + treatment["width"] <= control["x"]
        assert min(treatment["width"], control["width"]) > 80
    assert page.evaluate("[...document.images].every((image) => image.naturalWidth === 8)")
    assert page.locator("svg.molecule path.bond").count() >= 2


def test_all_that_is_drawn_or_operated_has_a_name(visit):
    for name in ("index.html", "read.html", "papers/sums.html"):
        page = visit(name)
        assert page.evaluate(NAMELESS) == []
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0


def test_the_arms_differ_by_more_than_colour(visit):
    page = visit("papers/sums.html")
    fill = "(one) => getComputedStyle(one).fill"
    dash = "(one) => getComputedStyle(one).strokeDasharray"
    assert page.locator(".plot .dot.treatment").first.evaluate(fill) != page.locator(".plot .dot.control").first.evaluate(fill)
    assert page.locator(".plot .line.treatment").first.evaluate(dash) == "none"
    assert page.locator(".plot .line.control").first.evaluate(dash) != "none"
