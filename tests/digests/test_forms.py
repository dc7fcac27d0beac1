"""What each form of digest gives, value by value."""

import pytest

from bakeoff.digests.reading import known_forms


def test_a_hot_papers_page_comes_out_whole(read_text, pages, abstracts):
    read = read_text(pages["hot_papers"])
    first, second, third = read.mentions
    assert read.form == "hot_papers"
    assert first.title == "Rehearsal with a Handful: Means that Stay"
    assert first.authors == ("Ana Lucía Núñez", "山田 太郎", "Олег Иванов", "John Smith, Jr.")
    assert (first.arxiv, first.categories, first.text) == ("2402.12375", ("physics.chem-ph", "cs.AI"), abstracts[0])
    assert first.links == ("https://arxiv.org/abs/2402.12375v2", "https://arxiv.org/pdf/2402.12375v2")
    assert first.popularity == {"retweets": 7316, "favourites": 358}
    assert second.title == r"$\mathcal{N}=4$ [Extended] Steps (of $\sqrt{n}$) without Tuning"
    assert (second.arxiv, second.text, second.authors) == ("math/0309136", abstracts[1], ("Bo Li",))
    assert (third.title, third.text, third.authors) == ("No Abstract Here", None, ("Mary O'Neil", "Tim Rocktäschel"))
    assert [one.entry for one in read.mentions] == [1, 2, 3]
    assert "3 tweets skipped" in read.notes


def test_a_heading_inside_an_abstract_is_no_entry(read_text, pages, abstracts):
    page = pages["hot_papers"].replace(abstracts[0], f"{abstracts[0]}\n\n# 2. The second finding\n\nIt holds.")
    read = read_text(page)
    assert [one.title for one in read.mentions] == [one.title for one in read_text(pages["hot_papers"]).mentions]
    assert read.mentions[0].text == f"{abstracts[0]} # 2. The second finding It holds."


def test_a_hot_paper_without_authors_or_categories_is_kept(read_text):
    only, = read_text("# 1. A\n\n- links: [abs](https://arxiv.org/abs/2001.00001)\n\nShort text.\n").mentions
    assert (only.authors, only.categories, only.popularity, only.text) == ((), (), None, "Short text.")


def test_a_hugging_face_page_gives_titles_abstracts_and_links(read_text, pages, abstracts):
    read = read_text(pages["hugging_face"])
    assert read.form == "hugging_face"
    assert [one.title for one in read.mentions] == ["Rehearsal with a Handful: Means that Stay", "Steps without Tuning?", "LLMs read names"]
    assert read.mentions[0].text == abstracts[0]
    assert read.mentions[1].links == ("https://example.org/steps", "https://github.com/steps", "https://github.com/a/b")
    assert all(one.authors == () and one.arxiv is None and one.popularity is None for one in read.mentions)
    assert any("Subscribe" in note and "OSZAR »" in note for note in read.notes)


def test_furniture_between_entries_is_never_a_title(read_text, pages):
    page = pages["hugging_face"].replace("LLMs read names\n", "LLMs read names\n\nJun 4\n\n12 comments\n")
    assert [one.title for one in read_text(page).mentions][2] == "LLMs read names"


def test_short_science_gives_texts_with_latex_and_image_links(read_text, pages, abstracts):
    read = read_text(pages["short_science"])
    assert read.form == "short_science"
    assert read.mentions[0].text == rf"{abstracts[0]} https://i.imgur.com/BBfWE17.png It shows $\theta^* = \max_{{a}} Q(s, a)$."
    assert read.mentions[0].links == ("https://i.imgur.com/BBfWE17.png",)
    assert read.mentions[1].text == f"### Points {abstracts[1]}"
    assert read.mentions[2].links == ("https://i.imgur.com/hif9ZL9.png",)
    assert all(one.title is None for one in read.mentions)


def test_the_short_science_banner_and_end_marks_are_skipped(read_text, pages, abstracts):
    read = read_text(pages["banner"])
    assert read.form == "short_science"
    assert [one.text for one in read.mentions] == [abstracts[0], f"[Full credit to others] {abstracts[1]} and more without an end"]


def test_bare_abstracts_are_one_a_line(read_text, pages, abstracts):
    read = read_text(pages["abstracts"])
    assert (read.form, [one.text for one in read.mentions]) == ("abstracts", list(abstracts))
    assert read.mentions[1].links == ("https://example.org/steps",)


@pytest.mark.parametrize("end", ["\r\n", "\r", "\u2028"])
def test_line_ends_of_other_systems_make_no_difference(read_text, pages, end):
    for page in pages.values():
        assert read_text(page.replace("\n", end)).mentions == read_text(page).mentions


def test_every_form_is_found_by_its_own_module_alone(pages):
    names = {form.FORM for form in known_forms()}
    assert names == {"abstracts", "hot_papers", "hugging_face", "short_science"}
    for name, page in pages.items():
        scores = {form.FORM: form.recognises(page) for form in known_forms()}
        assert max(scores, key=scores.get) == name.replace("banner", "short_science")
