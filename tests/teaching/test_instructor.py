"""The instructor's kit: made from a tiny lesson, and from the kit's own lessons."""

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest

from distillkit import cli
from distillkit.evaluation.scoring import read_questions
from distillkit.runtime.files import read_json
from distillkit.runtime.session import data_path
from distillkit.teaching import lesson
from distillkit.teaching.exercise import Exercise, Mistake
from distillkit.teaching.instructor import folder, key, plans, quiz, sections, slides, typeset
from distillkit.teaching.lesson import all_lessons
from distillkit.teaching.record import KNOWN, Task, tasks
from tests.chromium import accessibility_faults, browser, need, offline

ROOT = Path(__file__).resolve().parents[2]
LESSON = dataclasses.replace(
    all_lessons()["00"], number="98", title="A tiny lesson", minutes="1", reading="20"
)
TASKS = [Task("98", "twice", 8, "easy"), Task("98", "thrice", 9, "bonus"), Task("97", "x", 1, "")]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAABJRU5ErkJg"


def text(source):
    return {"cell_type": "markdown", "source": source, "metadata": {}}


def code(source, *outputs, tags=()):
    metadata = {"tags": [*tags]}
    return {"cell_type": "code", "source": source, "outputs": [*outputs], "metadata": metadata}


def notebook():
    picture = {
        "output_type": "display_data",
        "data": {"image/png": PNG, "text/plain": "a"},
        "metadata": {"image/png": {"alt": "A <line> that rises."}},
    }
    caption = {"output_type": "display_data", "data": {"text/html": "", "text/plain": "It rises."}}
    return {"cells": [
        text("[![Badge](https://b.test/b.svg)](https://b.test)\n\n# A tiny lesson\n\nOne idea."),
        code("import distillkit as dk", tags=["setup"]),
        text("## Predict first\n\nHow much is it? Nobody knows."),
        text("## The idea\n\nIt is $\\frac{1}{2}$. A second one. One more. A dull one. "
             "*Which one is larger?*\n\n```\n# not a heading\n```\n\n### Exercise 1\n\n"
             "*About 8 minutes, easy. Stuck? One hint after the other:*\n"
             '`checks.hint("twice")`\n\nWrite `twice`.'),
        code("def twice(x):\n    return None  # your code here\n\n\ntwice = checks.twice(twice)",
             picture, caption),
        text("### Bonus\n\nWrite `thrice`."),
        code("thrice = checks_more.thrice(thrice)"),
        text("## Look back at your guess"),
        code("print(2)", {"output_type": "stream", "text": ["two\n"]}),
        text("## Questions\n\n<details><summary>1. Why\ntwo?</summary>\n\nBecause **so**.\n"
             "</details>"),
    ]}  # fmt: skip


def taught():
    return sections.read_lesson(notebook(), LESSON, TASKS, "98_tiny")


EXERCISES = {
    "twice": Exercise("twice", lambda x: 2 * x, [(1,), (3,)], [
        Mistake("this is a square: multiply by 2", lambda x: x * x),
        Mistake("it stops: say what nothing is", lambda x: 1 / (x - 1)),
    ], hints=("How often?", "Multiply.", "return ...")),
    "thrice": Exercise("thrice", lambda x: 3 * x, [(1,)], []),
}  # fmt: skip
for name in EXERCISES:  # the registry is for the kit's own
    KNOWN.pop(name)
SOLUTIONS = {"twice": "def twice(x):\n    return x + x", "thrice": "def thrice(x): return 3 * x"}


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    """The pages of the kit's own lessons, name -> path."""
    to = tmp_path_factory.mktemp("kit")
    written = folder.write_kit(to, cli.all_exercises(), say=lambda line: None)
    return {path.relative_to(to).as_posix(): path for path in written}


@pytest.fixture(scope="module")
def lessons():
    return folder.taught_lessons()


class Seen(HTMLParser):
    """What a page asks for, and its words."""

    def __init__(self, page):
        super().__init__()
        self.asked, self.words, self.headings, self.tag = [], [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tag = tag
        self.asked += [v for k, v in attrs if k == "src" and not v.startswith("data:")]
        self.asked += [v for k, v in attrs if k == "href" and tag == "link"]

    def handle_data(self, data):
        self.words.append(data)
        if self.tag in ("h2", "h3", "h4"):
            self.headings.append(data)


# --- sections -------------------------------------------------------------------------------------


def test_a_lesson_is_cut_at_its_headings():
    found = taught()
    assert [(s.heading, s.level) for s in found.sections] == [
        ("A tiny lesson", 1), ("Predict first", 2), ("The idea", 2), ("Exercise 1", 3),
        ("Bonus", 3), ("Look back at your guess", 2), ("Questions", 2),
    ]  # fmt: skip
    exercise = found.section("Exercise 1")
    assert [task.exercise for task in exercise.tasks] == ["twice"]
    assert exercise.code[0].figures == (sections.Figure(PNG, "A <line> that rises.", "It rises."),)
    assert "not a heading" in found.section("The idea").text
    assert found.section("Questions").questions == [("Why two?", "Because **so**.")]
    assert found.section("Questions").text == ""
    assert all("Badge" not in s.text and "import" not in str(s.parts) for s in found.sections)


def test_the_minutes_of_the_sections_sum_to_the_lessons_and_the_bonus_is_outside():
    found = taught()
    assert sum(section.minutes for section in found.sections) == 20
    assert found.section("Exercise 1").minutes >= 8
    assert found.section("Bonus").minutes < 9
    longer = notebook()
    longer["cells"][2]["source"] += " word" * 500
    cut = sections.read_lesson(longer, LESSON, TASKS, "98_tiny")
    assert cut.section("Predict first").minutes > found.section("Predict first").minutes


@pytest.mark.parametrize(("total", "weights"), [(10, [1, 1, 1]), (0, [2, 3]), (7, [0, 0]), (3, [])])
def test_minutes_are_shared_out_whole(total, weights):
    shares = sections.share_out(total, weights)
    assert sum(shares) == (total if any(weights) else 0) or not weights or sum(shares) <= total
    assert len(shares) == len(weights) and all(share >= 0 for share in shares)


@pytest.mark.parametrize("lesson", all_lessons().values(), ids=lambda lesson: lesson.number)
def test_every_lesson_that_is_written_has_minutes(lesson, lessons):
    if lesson.planned:
        assert lesson.number not in lessons
    else:
        sections_ = lessons[lesson.number].sections
        assert sum(section.minutes for section in sections_) == int(lesson.reading)


def test_a_lesson_whose_exercises_take_longer_than_itself_is_refused():
    short = dataclasses.replace(LESSON, reading="5")
    with pytest.raises(ValueError, match="its exercises take 8 minutes"):
        sections.read_lesson(notebook(), short, TASKS, "98_tiny")
    with pytest.raises(ValueError, match=r"data/exercises.csv has \['twice', 'thrice', 'more'\]"):
        more = [*TASKS, Task("98", "more", 1, "easy")]
        sections.read_lesson(notebook(), LESSON, more, "98_tiny")


# --- the answer key -------------------------------------------------------------------------------


def test_the_key_says_how_a_wrong_answer_shows_and_what_to_say():
    page = key.answer_key({"98": taught()}, EXERCISES, SOLUTIONS)
    seen = Seen(page)
    words = " ".join(seen.words)
    for said in ("return x + x", "How often?", "Multiply.", "this is a square: multiply by 2",
                 "expected 2, got 1", "on input 1 of 2: x = 1", "ZeroDivisionError", "Why two?",
                 "Write ", "Which one is larger?", "How much is it?", "two"):  # fmt: skip
        assert said in words, said
    assert "About 8 minutes, easy. Stuck" not in words, "the key has its own line for this"
    assert [h for h in seen.headings if h in ("twice", ", 8 minutes, easy")] or "twice" in words
    with pytest.raises(KeyError):
        key.answer_key({"98": taught()}, {}, SOLUTIONS)


def test_every_exercise_of_every_lesson_stands_in_the_key_with_its_messages(kit):
    page = kit["answer_key.html"].read_text(encoding="utf-8")
    words = "".join(Seen(page).words)
    solutions = read_json(data_path("solutions.json"))
    for task in tasks().values():
        assert f"<h4><code>{task.exercise}</code>, {task.minutes} minutes" in page, task
        assert solutions[task.exercise] in words, task
        for mistake in KNOWN[task.exercise].mistakes:
            known = mistake.message.startswith(key.SEVERAL) or mistake.message in words
            assert known, mistake.message
    assert "it is right" not in words, "a wrong answer that does not show"


# --- slides ---------------------------------------------------------------------------------------


def test_slides_show_what_a_room_can_read_and_the_notes_all_of_it():
    found = taught()
    (slide,) = slides.slides_of(idea := found.section("The idea"))
    assert "A dull one." in "".join(slide.body) and "<svg" in "".join(slide.body)
    idea.parts.append("A line of text.\n\n" * 9)  # now it does not fit on one slide
    first, *_ = slides.slides_of(idea)
    shown = "".join(first.body)
    assert "A second one." in shown and "Which one is larger?" in shown
    assert "A dull one." not in shown and "A dull one." in first.notes
    first, picture = slides.slides_of(found.section("Exercise 1"))
    assert "8 minutes" in first.body[0] and "def twice(x):" in "".join(first.body)
    assert "checks.twice(" not in "".join(first.body)
    assert 'alt="A &lt;line&gt; that rises."' in picture.body[0] and "It rises." in picture.body[0]
    (folded,) = slides.slides_of(found.section("Questions"))
    assert "<summary>Why two?</summary>" in folded.body[0]


def test_a_long_text_goes_on_on_the_next_slide():
    section = sections.Section("Predict first", 2, ["A sentence that is not short. " * 90])
    made = slides.slides_of(section)
    assert len(made) > 2 and all(slide.lines <= slides.ROOM for slide in made)
    assert {slide.heading for slide in made} == {"Predict first"}
    rows = "\n".join(f"| {n} | what stands in row {n} of the table |" for n in range(30))
    section = sections.Section("A table", 2, [f"| a | b |\n|---|---|\n{rows}"])
    made = slides.slides_of(section)
    assert len(made) > 2 and all("<th>b</th>" in slide.body[0] for slide in made)
    assert sum(slide.body[0].count("what stands") for slide in made) == 30


@pytest.mark.parametrize(("paragraph", "cut"), [
    ("One. Two is **three. Four** is five.", ["One.", "Two is **three. Four** is five."]),
    ("A value of 0.5 stays. `f(x)` too?", ["A value of 0.5 stays.", "`f(x)` too?"]),
    ("*Is it? Or not?* It is.", ["*Is it? Or not?*", "It is."]),
])  # fmt: skip
def test_sentences_keep_what_is_emphasised_together(paragraph, cut):
    assert slides.sentences(paragraph) == cut


def test_no_solution_stands_on_a_slide(kit, lessons):
    solutions = read_json(data_path("solutions.json"))
    for task in tasks().values():
        deck = kit[f"slides/{lessons[task.lesson].stem}.html"].read_text(encoding="utf-8")
        body = solutions[task.exercise].split("\n", 1)[-1].strip()
        assert body not in "".join(Seen(deck).words), task


# --- formulas and pages ---------------------------------------------------------------------------


def test_markdown_keeps_code_and_draws_formulas():
    made = typeset.html("`a$b` and $x^2$ and `c$d`\n\n$$\\tfrac{1}{C}$$\n\n| a |\n|---|\n| $y$ |")
    assert made.count("<svg") == 3 and "<code>a$b</code> and <svg" in made and "<table>" in made
    assert 'aria-label="x^2"' in made
    with pytest.raises(ValueError):
        typeset.html("$\\nothing{x}$")


def test_no_page_asks_for_another_file(kit):
    assert len(kit) == 5 + len([row for row in all_lessons().values() if not row.planned])
    for path in kit.values():
        page = path.read_text(encoding="utf-8")
        assert page.startswith("<!DOCTYPE html>\n" + typeset.MARK)
        assert Seen(page).asked == [] and "url(" not in page and "@import" not in page, path
    links = re.findall(r'<li><a href="([^"]+)"', kit["index.html"].read_text(encoding="utf-8"))
    assert {*links} == {*kit} - {"index.html"}


def test_a_page_is_written_anew_and_no_other_file_is(tmp_path):
    mine, page = tmp_path / "quiz.html", typeset.page("A title", "<main></main>")
    typeset.write_page(mine, page)
    typeset.write_page(mine, page.replace("A title", "Another"))
    assert "Another" in mine.read_text(encoding="utf-8")
    mine.write_text("my own notes", encoding="utf-8")
    with pytest.raises(FileExistsError, match="is kept"):
        typeset.write_page(mine, page)
    assert mine.read_text(encoding="utf-8") == "my own notes"


# --- plans ----------------------------------------------------------------------------------------


def test_the_plans_fit_their_time(lessons):
    rows = plans.read_plans()
    assert plans.faults(rows, lessons) == []
    assert {row.plan for row in rows} == {*plans.LENGTHS}
    assert {row.lesson for row in rows if row.plan == "two days"} >= {f"0{n}" for n in range(8)}


@pytest.mark.parametrize(("change", "said"), [
    ({"minutes": 3}, "has 3 minutes in row 'x', and takes"),
    ({"minutes": 31}, "half a day: 211 minutes, not 210"),
    ({"sections": ("The idea",)}, "lesson 01 has no section 'The idea'"),
])  # fmt: skip
def test_a_plan_that_no_longer_fits_is_named(change, said, lessons):
    rows = plans.read_plans()
    at = next(at for at, row in enumerate(rows) if row.lesson == "01")
    rows[at] = dataclasses.replace(rows[at], what="x", **change)
    assert any(said in fault for fault in plans.faults(rows, lessons)), plans.faults(rows, lessons)


def test_a_lesson_that_takes_longer_breaks_the_plan(lessons):
    row = dataclasses.replace(lessons["02"].lesson, reading="95")
    longer = sections.read_notebook(folder.lesson_path("02"), row, [*tasks().values()])
    (fault,) = plans.faults(plans.read_plans(), {**lessons, "02": longer})
    assert "lesson 02 has 75 minutes" in fault and "takes 95" in fault


@pytest.mark.parametrize("plan", plans.LENGTHS)
def test_a_plan_says_which_questions_of_the_test_it_does_not_teach(plan):
    rows = [row for row in plans.read_plans() if row.plan == plan]
    (said,) = [row.what for row in rows if row.what.startswith("The test before")]
    left_out = {q.lesson for q in quiz.read_quiz()} - {row.lesson for row in rows}
    assert {*re.findall(r"\b\d\d\b", said)} == left_out


def test_what_comes_before_a_course_stands_in_the_guide_and_on_the_page_of_plans(kit, monkeypatch):
    guide = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
    page = " ".join("".join(Seen(kit["plans.html"].read_text(encoding="utf-8")).words).split())
    assert plans.BEFORE in guide and "python3 kit.py doctor names what is missing" in page
    monkeypatch.setattr(lesson, "product_seconds", lambda *_, **__: {"float32": 1.0})
    slow = SimpleNamespace(tier="cpu", dtype="float32")
    said = re.sub(
        r"to [\de.+]+ times", "to N times", lesson.longer_words(all_lessons()["06"], slow)
    )
    assert f'"{said}"' in " ".join(plans.BEFORE.split()) and said in page


def test_the_commands_of_a_plan_are_those_of_the_kit(tmp_path):
    (project,) = [row.what for row in plans.read_plans() if row.what.startswith("A project")]
    parts = re.findall(r"`([^`]+)`", project)
    commands = [part.split() for part in parts if part.split()[0] in cli.COMMANDS]
    assert [words[0] for words in commands] == ["teach", "distill", "evaluate"]
    for words in commands:
        cli.parser(words[0]).parse_args(words)  # ends the test if it does not know an option
    (tmp_path / "own.jsonl").write_text(parts[-1] + "\n", encoding="utf-8")
    problems, refused = read_questions(tmp_path / "own.jsonl")
    assert len(problems) == 1 and refused == []


# --- the test before and after --------------------------------------------------------------------


def test_the_quiz_is_well_formed(lessons):
    questions = quiz.read_quiz()
    assert len(questions) == 12 and len({q.question for q in questions}) == 12
    assert {q.lesson for q in questions} >= {f"0{n}" for n in range(8)}
    for sheet in quiz.SHEETS:
        letters = [question.letter(sheet) for question in quiz.order(questions, sheet)]
        assert all(1 <= letters.count(letter) <= 5 for letter in quiz.LETTERS), letters
    assert quiz.order(questions, "before") == questions != quiz.order(questions, "after")
    for question in questions:  # the longest option is not always the right one
        assert question.lesson in lessons and len(question.wrong) == 3


def test_the_sheets_hold_no_key_and_the_key_all_of_it(kit):
    sheet, answers = (kit[n].read_text(encoding="utf-8") for n in ("quiz.html", "quiz_key.html"))
    words, told = (" ".join(Seen(page).words) for page in (sheet, answers))
    for question in quiz.read_quiz():
        assert words.count(f"{question.question}  (lesson {question.lesson})") == 2
        for option, belief in question.wrong.items():
            first = belief.split("(")[0].split("*")[0].strip()
            assert words.count(option) >= 2 and first not in words and first in told


def test_a_question_without_four_options_is_refused(tmp_path):
    path = tmp_path / "quiz.json"
    path.write_text('[{"lesson": "00", "question": "?", "right": "a", "wrong": '
                    '[{"option": "a", "belief": "b"}]}]', encoding="utf-8")  # fmt: skip
    with pytest.raises(ValueError, match="needs four options"):
        quiz.read_quiz(path)


# --- in a browser ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium():
    with browser() as started:
        yield started


@pytest.mark.slow
def test_slides_are_turned_by_keyboard_and_none_is_too_long(kit, chromium):
    for name in (name for name in kit if name.startswith("slides/")):
        with offline(chromium, kit[name], viewport={"width": 1280, "height": 720}) as tab:
            over = tab.evaluate("""() => {
                all.forEach(slide => { slide.hidden = false; });
                return all.map((slide, n) => [n + 1, slide.scrollHeight])
                    .filter(([n, high]) => high > 720);
            }""")
            assert over == [], name
    with offline(chromium, kit[name], viewport={"width": 1280, "height": 720}) as tab:
        seen = "document.querySelector('main > section:not([hidden]) footer').textContent"
        tab.keyboard.press("End")
        last = tab.evaluate(seen)
        tab.keyboard.press("ArrowRight")
        assert tab.evaluate(seen) == last
        tab.keyboard.press("Home")
        tab.keyboard.press("ArrowRight")
        assert " 2 of " in tab.evaluate(seen)
        tab.locator("#notes").press("Enter")
        tab.keyboard.press("ArrowLeft")
        assert tab.locator("aside:visible").count() == 1


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_the_pages(kit, chromium, scheme, tmp_path):
    need("axe_playwright_python")
    tiny, pages = {"98": taught()}, [kit[name] for name in kit if "quiz" in name]
    for name, text in {
        "key": key.answer_key(tiny, EXERCISES, SOLUTIONS),
        "slides": slides.deck(tiny["98"]),
        "plans": folder.plans_page([plans.Row("two days", "", 20, "98", (), "")], tiny),
    }.items():
        pages.append(typeset.write_page(tmp_path / f"{name}.html", text))
    if scheme == "dark":  # other colours, the same words
        pages = pages[-3:-1]
    for path in pages:
        with offline(chromium, path, color_scheme=scheme) as tab:
            tab.evaluate("document.body.classList.add('notes')")
            tab.evaluate("document.querySelectorAll('main > section').forEach(s => s.hidden = 0)")
            assert accessibility_faults(tab) == [], path
