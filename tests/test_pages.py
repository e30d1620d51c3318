"""The pages that people read: their numbers are those of the tables, and their links lead on."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import re
import shutil
import tomllib

import pytest

from benchmarks.report import pages, parts
from distillkit import cli
from distillkit.evaluation import statistics
from tests.test_benchmarks import COMMAND, EXPERIMENTS, NAMES, ROOT
from tests.test_rooms import MODULES, ROOMS

LINK = re.compile(r"\]\(([^)\s]+)\)")  # of a picture, too
FENCE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
WRITTEN = [ROOT / "README.md", *(
    path for folder in ("benchmarks", "data", "distillkit", "notebooks")
    for path in sorted((ROOT / folder).rglob("*.md")) if "mine" not in path.parts)]  # fmt: skip
NOTEBOOKS = [path for folder in (".", "solutions", "zh")
             for path in sorted((ROOT / "notebooks" / folder).glob("*.ipynb"))]  # fmt: skip


# --- numbers ---------------------------------------------------------------------------------


def test_the_results_and_the_front_page_are_what_the_tables_hold(capsys):
    assert pages.main(["--check"]) == 0, capsys.readouterr().out


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A copy of what the report reads and writes."""
    for name in ("README.md", "data", "benchmarks/results"):
        source = ROOT / name
        (tmp_path / name).parent.mkdir(exist_ok=True)
        aside = shutil.ignore_patterns("*.safetensors", "*.jsonl", "*.png", "*.html")
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name, **({"ignore": aside} if source.is_dir() else {}))
    monkeypatch.setattr(parts, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "old", "new", "stale"),
    [
        ("data/ranks.csv", "12,broad,100,0.76", "12,broad,100,0.77", [pages.PAGE]),
        ("benchmarks/results/to_90.json", '"to_90": 82.8', '"to_90": 92.8', [pages.PAGE]),
        ("data/demo_report.json", '"date": "2026', '"date": "2036', [pages.PAGE, pages.FRONT]),
        (pages.FRONT, "**97 %", "**96 %", [pages.FRONT]),
        (pages.PAGE, "## The demo", "## A demo", [pages.PAGE]),
    ],
)
def test_a_number_that_changed_is_found_and_written(checkout, capsys, file, old, new, stale):
    path = checkout / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert pages.main(["--check"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said == [f"{page} is not what the tables hold: python -m benchmarks.report"
                    for page in stale]  # fmt: skip
    assert pages.main([]) == 0
    assert capsys.readouterr().out.splitlines() == [f"wrote {page}" for page in stale]
    assert pages.main(["--check"]) == 0
    if file == pages.FRONT:
        assert path.read_text(encoding="utf-8") == text


def test_a_front_page_without_a_place_for_numbers_is_refused(checkout):
    (checkout / pages.FRONT).write_text("# distillkit\n")
    with pytest.raises(ValueError, match=r"README\.md has no place for numbers"):
        pages.main(["--check"])


@pytest.mark.parametrize("name", NAMES)
def test_every_recorded_table_stands_on_the_page_with_its_command(name):
    page = (ROOT / pages.PAGE).read_text(encoding="utf-8")
    table = f"data/{EXPERIMENTS[name].csv}"
    lines = [line for line in page.splitlines() if f"→ [`{table}`](../../{table})" in line]
    assert lines and all(f"`python -m benchmarks.experiments.{name}" in line for line in lines)


def typed(source):
    """Return the strings of a module that are typed into the page as facts."""
    tree = ast.parse(source)
    aside = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "noted":
            aside |= {id(part) for part in ast.walk(node)}
    return [node.value for node in ast.walk(tree) if id(node) not in aside
            and isinstance(node, ast.Constant) and isinstance(node.value, str)]  # fmt: skip


MEASURED_LOOK = re.compile(
    r"\d ?–\d|[+−]\d|\d to [+−]?\d+[).]|\d\.\d+ (?:%|GB|s\b|min|tokens|points)"
)


def test_no_measured_number_is_typed_outside_of_what_is_marked_so():
    assert typed("noted('2 %', f'3 {x}'); f('4', f'5 {x}')") == ["4", "5 "]
    for path in sorted((ROOT / "benchmarks" / "report").glob("*.py")):
        if path.name not in ("__init__.py", "pages.py", "parts.py"):
            found = [text for text in typed(path.read_text("utf-8")) if MEASURED_LOOK.search(text)]
            assert found == [], path.name


def text_of(lesson):
    """Return a lesson's text as one line."""
    (path,) = (ROOT / "notebooks" / "src").glob(f"{lesson}_*.py")
    lines = path.read_text(encoding="utf-8").splitlines()
    return " ".join(line[2:] for line in lines if line.startswith("# "))


def test_the_numbers_that_lesson_05_types_are_those_of_its_tables():
    def candidates(strategy):
        found = parts.rows("data/decoding_strategies.csv", strategy=strategy)
        right = [int(row["right"]) for row in found]
        written = sum(int(row["candidates"]) for row in found)
        shares = (sum(right) / written, sum(map(bool, right)) / len(found))
        return [parts.plain(100 * share) for share in shares]

    def written(table, way, split):
        tokens = parts.values(parts.rows(f"data/{table}.csv", way=way, split=split), "tokens", 1)
        return sum(tokens) / len(tokens)

    cold, warm, hot = (candidates(strategy) for strategy in ("T 0.3", "T 0.7", "T 1.5"))
    text = text_of("05")
    for words in (
        f"right less often than at 0.3 ({warm[0]} and {cold[0]} %), but one of eight more often "
        f"({warm[1]} and {cold[1]} %). Too high is bad for both: at 1.5 it is {hot[0]} % and "
        f"{hot[1]} %",
    ):
        assert words in text
    for table, way, said in (
        ("going_back", "going back", {"outside": 320, "broad": 360}),
        ("several_tries", "again", {"outside": 525, "broad": 620}),
    ):
        for split, tokens in said.items():
            assert str(tokens) in text
            assert written(table, way, split) == pytest.approx(tokens, abs=5)
    first = [[row["right"][:100].count("1")
              for row in parts.rows("data/going_back.csv", way="going back", split=split)]
             for split in ("outside", "broad")]  # fmt: skip
    ends = " and ".join(parts.mean(each) for each in first)
    assert f"Of the first 100 questions {ends} are right now" in text


def test_the_numbers_that_lesson_10_types_are_those_of_its_table():
    def right(cut, repair):
        found = parts.rows("data/pruning.csv", parent="qwen", cut=cut, repair=repair, size=20)
        return parts.values([row for row in found if row["form"] == "bf16"])

    better = right("block influence", "forward KL")
    alone, states = (right("leave-one-out", f"forward KL{more}") for more in ("", " and states"))

    def more(base):
        return [parts.signed(value) for value in statistics.paired(base, better)]

    far, near = more(alone), more(states)
    text = text_of("10")
    for words in (
        f"{parts.mean(better)} in place of {parts.mean(alone)} ({far[0][1:]} more, {far[1][1:]} to "
        f"{far[2][1:]})",
        f"has {parts.mean(states)}: from that the {parts.mean(better)} cannot be told ({near[0]}, "
        f"{near[1]} to {near[2]})",
    ):
        assert words in text


def test_the_numbers_that_lesson_09_types_are_those_of_its_table():
    path, own = "data/soft_labels.csv", "itself, student's texts, reverse"

    def right(arm):
        return parts.values(parts.rows(path, arm=arm))

    def mean(arm):
        return parts.mean(right(arm))

    def kl(arm):
        return parts.mean(parts.values(parts.rows(path, arm=arm), "kl_to_few_shot", 1), 2)

    def numbers(difference, digits):
        return [parts.signed(value, digits) for value in difference]

    prompt = parts.row(path, arm="untouched, six solved examples")
    few_shot, cold = parts.percent(prompt["exact"]), "itself, cold start"
    soft = numbers(statistics.paired(right("words alone"), right("forward KL")), 0)
    taught = numbers(statistics.paired(right(cold), right(own.replace("student", "teacher"))), 0)
    third = [parts.plain(parts.row(path, arm=arm, seed=2)["kl_to_few_shot"], 3)
             for arm in (cold, own)]  # fmt: skip
    steps = right(f"{own}, 24 steps")
    near = numbers(statistics.paired([float(few_shot)] * len(steps), steps), 1)
    first, *rest = (parts.plain(value) for value in right(f"{own}, rate 1e-3"))
    text = text_of("09")
    for words in (
        f"{soft[0]} right answers in 100, and anything between {soft[1]} and {soft[2]} fits",
        f"{mean(own.replace('student', 'teacher'))} of 100 on the teacher's texts",
        f"That is what the examples reach ({few_shot})",
        f"it is {mean(own)} with reverse KL and {mean(own.replace('reverse', 'forward'))} with "
        f"forward KL. None of these can be told from the cold start alone ({mean(cold)}; "
        f"for the {mean(own.replace('student', 'teacher'))} it is {taught[0]}, {taught[1]} to "
        f"{taught[2]})",
        f"24 steps give {mean(f'{own}, 24 steps')}, and that cannot be told from the prompt "
        f"({near[0]}, {near[1]} to {near[2]}); "
        f"nor can the lower temperature ({mean(f'{own}, temperature 0.7')})",
        f"At a rate of 1e-3 the runs solve {first}, {' and '.join(rest)}",
        f"falls from {kl(cold)} after the cold start to {kl(own)}.",
        f"in the third it was small already ({third[0]}, then {third[1]})",
        f"(At a rate of 1e-3 it is {kl(f'{own}, rate 1e-3')}: farther than at the start.)",
    ):
        assert words in text


def test_the_numbers_that_lesson_13_types_are_those_of_its_table():
    path, turned = "data/algorithm_distillation.csv", "turned round"

    def lost(arm, policy="sampled", odds="as in training"):
        return parts.values(parts.rows(path, arm=arm, policy=policy, odds=odds), "regret", 1)

    def mean(*which):
        return parts.mean(lost(*which), 1)

    def more(arm, digits):
        return [parts.plain(value, digits)
                for value in statistics.paired(lost(arm), lost(arm, odds=turned))]  # fmt: skip

    thompson, half = more("thompson", 2), more("half in sight", 1)
    controls = ("finished learner", "last tenth", "last tenth in sight", "shuffled")
    where = sorted(more(arm, 0)[0] for arm in controls)
    ucb = -statistics.paired(lost("ucb"), lost("ucb", "greedy"))[0]
    best, source = mean("references", "gittins"), mean("references", "thompson")
    assert mean("thompson") == source and len(lost("thompson")) == 5
    assert min(lost(arm, "greedy")[0] for arm in controls[:2]) == pytest.approx(17, abs=0.05)
    text = text_of("13")
    for words in (
        "Five seeds, 8,192 histories",
        f"the student of Thompson sampling loses {source} in 60 pulls, as its source does",
        f"The last tenth of each history loses {mean('last tenth')}, and",
        f"six pulls at a time, loses {mean('last tenth in sight')} (in the tables",
        f"the last tenth loses {mean('last tenth', 'sampled', turned)} and this control "
        f"{mean('last tenth in sight', 'sampled', turned)}",
        f"({mean('shuffled', 'greedy')} instead of {mean('shuffled')})",
        f"With half in sight {mean('half in sight')} are lost",
        f"{mean('thompson', 'greedy')} instead of {mean('thompson')}, and the Gittins index, "
        f"which is close to the best possible, has {best}.",
        f"hardly a difference ({ucb:.2f} less)",
        f"loses {thompson[0]} more, {thompson[1]} to {thompson[2]}:",
        f"With half in sight it is {half[0]} more ({half[1]} to {half[2]}); "
        f"the others lose {where[0]} to {where[-1]} more",
        f"({mean('finished learner', 'greedy', turned)} against "
        f"{mean('references', 'uniform', turned)})",
    ):
        assert words in text


def test_numbers_are_written_as_people_read_them():
    assert [parts.percent(x) for x in (0.94, 0.995, 17 / 30, 1)] == ["94", "99.5", "56.7", "100"]
    assert [parts.signed(x, 1) for x in (2.04, -0.04, 0.0, -1234.5)] == [
        "+2.0", "0.0", "0.0", "−1,234.5",
    ]  # fmt: skip
    assert parts.change((4.0, 1.0, 7.0), bold=True) == "**+4 (+1 to +7)**"
    assert parts.change((4.0, -1.0, 9.0), bold=True) == "+4 (−1 to +9)"
    assert parts.rate_of(94, 100) == "94 % (88–97)"
    assert parts.median_range([3.0, 1.0, 2.0], 1) == "2.0 (1.0–3.0)"


def test_a_line_is_not_broken_within_code_or_between_number_and_unit():
    text = parts.filled("x " * 44 + "`python -m benchmarks.report` " + "y " * 30 + "94 % " * 30)
    assert "`python -m benchmarks.report`" in text
    assert all(len(line) <= 100 and not line.startswith("%") for line in text.splitlines())


def test_rows_that_are_not_there_are_an_error():
    with pytest.raises(ValueError, match="has no rows with"):
        parts.rows("data/ranks.csv", rank=99)
    with pytest.raises(ValueError, match="has 7 rows with"):
        parts.row("data/ranks.csv", split="narrow")


# --- links -----------------------------------------------------------------------------------


def texts(path):
    """Return the Markdown of a page, or of a notebook, without its code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return FENCE.sub(lambda found: "" if found[0].startswith("```") else "x", text), text


def headings(path):
    """Return the anchors of a page's headings."""
    _, text = texts(path)
    lines = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.M)
    return {pages.anchor(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line)) for line in lines}


def broken(path):
    """Return the links of a page to files or headings that are not there."""
    found = []
    for target in LINK.findall(texts(path)[0]):
        if re.match(r"https?:|mailto:|attachment:|data:", target):
            continue
        name, _, anchor = target.partition("#")
        goal = (path.parent / name) if name else path
        if not goal.exists() or (anchor and goal.is_file() and anchor not in headings(goal)):
            found.append(target)
    return found


@pytest.mark.parametrize("path", [*WRITTEN, *NOTEBOOKS], ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(path):
    assert broken(path) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    (tmp_path / "there.md").write_text("# It's here\n\n```\n# no heading\n```\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) [b](lost.md) [`c`](there.md#its-here) [d](there.md#no-heading)\n"
        "![e](lost.png) [![f](lost.svg)](https://x.y/z) `[g](code.md)` [h](#up)\n# Up\n"
    )
    assert broken(page) == ["lost.md", "there.md#no-heading", "lost.png", "lost.svg"]


def test_every_command_that_a_page_names_exists():
    named = {name for path in WRITTEN for name in COMMAND.findall(path.read_text("utf-8"))}
    assert len(named) > len(EXPERIMENTS)
    assert [name for name in named if importlib.util.find_spec(name) is None] == []


def test_every_page_can_be_reached_from_the_front_page():
    seen, left = set(), [ROOT / "README.md"]
    while left:
        page = left.pop()
        if page not in seen:
            seen.add(page)
            targets = LINK.findall(texts(page)[0])
            goals = [(page.parent / target.partition("#")[0]).resolve() for target in targets]
            left += [goal for goal in goals if goal.suffix == ".md" and goal.exists()]
    assert {p for p in WRITTEN if p.name != "python_topics_licence.md"} <= seen


def told(room):
    """Return the row of a room as its own docstring tells it."""
    words = ast.get_docstring(ast.parse(MODULES[room].read_text(encoding="utf-8")))
    parts_of = re.findall(r"^- (`\w+`): (.+(?:\n  .+)*)", words, re.MULTILINE)
    listed = " · ".join(f"{name} {' '.join(what.split())}" for name, what in parts_of)
    return f"| `{room}/` | {words.splitlines()[0].rstrip('.')} | {listed} |"


def test_the_page_of_the_package_says_of_each_room_what_the_room_says():
    page = (ROOT / "distillkit" / "README.md").read_text(encoding="utf-8").splitlines()
    rooms = [room for room in ROOMS if room not in ("plots", "lessons")]
    assert [line for line in page if re.match(r"\| `(?!lessons)\w+/` \|", line)] == [
        told(room) for room in rooms
    ]


def test_the_page_of_the_package_names_every_command_and_option():
    page = (ROOT / "distillkit" / "README.md").read_text(encoding="utf-8").splitlines()
    rows = [re.match(r"\| `(\w+)(.*?)` \|", line) for line in page]
    written = {row[1]: "" for row in rows if row}
    for row in filter(None, rows):
        written[row[1]] += row[2]
    for name, (_, add_options, _) in cli.COMMANDS.items():
        parser = argparse.ArgumentParser()
        add_options(parser)
        known = {f"--{word}" for word in re.findall(r"--([\w-]+)", written[name])}
        assert known == {*parser._option_string_actions} - {"-h", "--help"}, name
        choices = {word for action in parser._actions for word in action.choices or ()}
        assert [word for word in choices if word not in written[name]] == [], name


def test_what_the_page_of_the_package_says_of_a_new_loss_or_experiment_is_there():
    page = (ROOT / "distillkit" / "README.md").read_text(encoding="utf-8")
    how = page.partition("## How to add a loss")[2].partition("## Dependencies")[0]
    files = {name for name in re.findall(r"`([\w/]+\.(?:py|md|csv))`", how)}
    assert len(files) > 10
    written = {"benchmarks/experiments/NAME.py", "data/TABLE.csv", "mine.csv"}
    tops = (ROOT, ROOT / "distillkit")
    found = {name: [top / name for top in tops if (top / name).exists()] for name in files}
    assert {name for name, paths in found.items() if not paths} == written
    sources = "".join(
        path.read_text(encoding="utf-8") for paths in found.values() for path in paths
    )
    names = re.findall(r"`(_?[A-Z]{4,}_?[A-Z]*|_\w+|test_\w+)`", how)
    assert {"SOFT_OBJECTIVES", "_HOME", "SECTIONS", "TRIED", "MUTANTS"} <= {*names}
    assert [name for name in names if not re.search(rf"\b{name}\b", sources)] == []


def test_the_page_of_the_package_says_what_each_dependency_is_for():
    page = (ROOT / "distillkit" / "README.md").read_text(encoding="utf-8")
    named = set()
    for line in page.partition("## Dependencies")[2].splitlines():
        named |= {*re.findall(r"[\w-]+", line.partition("|")[2].partition("|")[0])}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(need for needs in extras.values() for need in needs)]
    assert {re.match(r"[\w-]+", need)[0] for need in wanted} - named == set()
