"""The page that needs no installation: what it holds, what it computes, and how it is used."""

import re

import pytest
import torch

from distillkit.lessons.l01_soft_labels import digits, page
from distillkit.runtime.files import read_csv
from distillkit.runtime.session import data_path
from distillkit.teaching.widgets import page as shown
from distillkit.training.losses import distillation_loss
from tests.chromium import accessibility_faults, browser, need, offline

PAGE = data_path(page.PAGE)
END = 240_000  # milliseconds: a guard against hanging
PHONE = {"viewport": {"width": 340, "height": 700}, "color_scheme": "dark"}
PHONE |= {"reduced_motion": "reduce", "device_scale_factor": 2}


@pytest.fixture(scope="module")
def chromium():
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def claim():
    return next(row for row in read_csv(data_path("claims.csv")) if row["claim"] == "1")


# --- what it holds -------------------------------------------------------------------------------


def test_the_digits_are_scikit_learns_in_the_lessons_split():
    found, teacher_BC = page.read_lines(PAGE.read_text(encoding="utf-8"))
    data = digits.load_digits()
    for name in ("pool_BP", "pool_labels_B", "test_BP", "test_labels_B"):
        assert torch.equal(getattr(found, name), getattr(data, name)), name
    assert digits.error_rate(teacher_BC, data.pool_labels_B) < 1, "a teacher of other digits"
    right_B = teacher_BC.softmax(-1).gather(1, data.pool_labels_B[:, None])[:, 0]
    assert (right_B < 0.99).sum() > 50, "a teacher without a doubt has no soft labels"


def test_a_refresh_writes_the_digits_and_nothing_else(tmp_path):
    copy, text = tmp_path / "page.html", PAGE.read_text(encoding="utf-8")
    data, teacher_BC = page.read_lines(text)
    copy.write_text(text.replace("bbb", "ccc"), encoding="utf-8")
    page.refresh(copy, data, teacher_BC)
    assert copy.read_text(encoding="utf-8") == text
    copy.write_text("<p>another page</p>", encoding="utf-8")
    with pytest.raises(ValueError, match="no part for the digits"):
        page.refresh(copy, data, teacher_BC)


def test_it_is_small_names_no_address_and_says_the_lessons_number(claim):
    text = PAGE.read_text(encoding="utf-8")
    assert PAGE.stat().st_size < 200_000
    assert not re.findall(r"https?:|//\w+\.\w+/|\b(?:src|href)=(?!\"data:)", text)
    number = "mean: {effect}, low: {low}, high: {high}".format(**claim)
    assert f"const LESSON = {{{number}, n: 100, T: 4, alpha: 1}}" in text
    settings = f"H = {digits.HIDDEN}, C = {digits.CLASSES}, STEPS = {digits.STEPS}"
    assert f"const P = {digits.PIXELS}, {settings}, RATE = {digits.RATE}" in text


def test_a_notebook_shows_it_whole_and_it_works_there(chromium, tmp_path):
    data, _ = shown("soft_labels.html", 500)._repr_mimebundle_()
    assert data["text/html"].count("<iframe") == 1 and "height:500px" in data["text/html"]
    assert 'sandbox="allow-scripts"' in data["text/html"]
    with pytest.raises(FileNotFoundError):
        shown("no_such_page.html")
    (tmp_path / "notebook.html").write_text(data["text/html"], encoding="utf-8")
    with chromium.new_page() as tab:
        tab.goto((tmp_path / "notebook.html").as_uri())
        inside = tab.frame_locator("iframe")
        inside.get_by_role("heading", name="Soft and hard labels").wait_for()
        inside.locator("#next").click()
        inside.get_by_text("Digit 2 of 1197").wait_for()
        inside.locator("#go").click()
        inside.get_by_text("Stop", exact=True).click()
        inside.get_by_text("Stopped.").wait_for()


# --- what it computes ----------------------------------------------------------------------------


def finish(tab):
    from playwright.sync_api import expect

    expect(tab.locator("#go")).to_have_text("Run again", timeout=END)
    return tab.locator("#result").inner_text()


@pytest.mark.slow
def test_the_experiment_agrees_with_the_lesson_and_sends_nothing(chromium, claim):
    with offline(chromium, PAGE, "?seeds=6") as tab:
        before = tab.locator("#animals-said").inner_text()
        tab.locator("#guess").fill("70")
        tab.locator("#go").click()
        tab.locator("#heat").focus()
        tab.keyboard.press("ArrowRight")
        assert tab.locator("#animals-said").inner_text() != before
        assert tab.locator("#go").inner_text() == "Stop", "the page is alive while it trains"
        words = finish(tab)
        rows = tab.locator("#table tbody tr").count()
    found = re.search(r"gave ([\d.]+) fewer errors .* interval ([\d.]+) to ([\d.]+), (\d)", words)
    mean, low, high, seeds = map(float, found.groups())
    assert low < mean < high and seeds == rows == 6
    assert low <= float(claim["high"]) and high >= float(claim["low"])
    assert low <= float(claim["effect"]) <= high
    assert "the two intervals overlap" in words and "Your guess was 70." in words


def test_it_trains_as_pytorch_does(chromium):
    script = """() => {
        const random = numbers(3), chosen = choose(40, random), first = firstWeights(random);
        const w = first.slice(), work = train(w, chosen, 0.5, 4);
        for (let step = 0; step < 25; step++) work.next();
        const places = chosen.map(digit => pool.indexOf(digit));
        return [places, [...first], [...w], errorRate(w, test)]; }"""
    with offline(chromium, PAGE) as tab:
        places, first, trained, errors = tab.evaluate(script)
    data, teacher_BC = page.read_lines(PAGE.read_text(encoding="utf-8"))
    net = digits.new_student(0)
    net.load_state_dict(dict(zip(net.state_dict(), cut(first))))
    optimizer = torch.optim.Adam(net.parameters(), lr=digits.RATE)
    for _ in range(25):
        value = distillation_loss(net(data.pool_BP[places]), teacher_BC[places],
                                  data.pool_labels_B[places], 0.5, 4.0)  # fmt: skip
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    for ours, theirs in zip(net.parameters(), cut(trained)):
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)
    wrong = digits.error_rate(digits.ask(net, data.test_BP), data.test_labels_B)
    assert errors == pytest.approx(wrong, abs=0.4)
    assert len(set(places)) == 40


def cut(numbers):
    """Cut the page's array of weights into PyTorch's tensors."""
    w1, b1, w2, b2 = torch.tensor(numbers).split([64 * 16, 16, 160, 10])
    return [w1.view(16, 64), b1, w2.view(16, 10).T, b2]


def test_softmax_and_the_words_below_it(chromium):
    with offline(chromium, PAGE) as tab:
        for name, place in {"cat": 2, "dog": 1, "tiger": 0, "heat": 6}.items():
            tab.locator(f"#{name}").fill(str(place))
        found = tab.locator("#animals .percent").all_inner_texts()
        assert tab.locator("#heat-said").inner_text() == "T = 2.00"
        assert tab.locator("#heat").get_attribute("aria-valuetext") == "T = 2.00"
        shares = (torch.tensor([2.0, 1.0, 0.0]) / 10**0.3).softmax(-1)
        assert found == [f"{100 * share:.0f}\u00a0%" for share in shares]
        script = "seeds => seeds.map(v => tQuantile(v))"
        from distillkit.evaluation.statistics import t_quantile

        assert tab.evaluate(script, [2, 5, 19]) == pytest.approx([*map(t_quantile, (2, 5, 19))])


# --- how it is used ------------------------------------------------------------------------------


@pytest.mark.slow
def test_it_is_stopped_and_goes_on_by_keyboard_and_ends_with_the_same_numbers(chromium):
    from playwright.sync_api import expect

    seeds = "?seeds=12"  # so many nets that the run still goes on when it is to be stopped
    with offline(chromium, PAGE, seeds, **PHONE) as tab:
        table, go = tab.locator("#table"), tab.locator("#go")
        go.focus()
        tab.keyboard.press("Enter")
        expect(tab.locator("#hard")).not_to_have_text("–", timeout=END)
        tab.keyboard.press("Enter")
        expect(go).to_have_text("Go on")
        said = tab.evaluate('t("stopped") + conclusion()')
        assert said.startswith("Stopped. ") and tab.locator("#result").inner_text() == said
        count = tab.locator("#count").inner_text()
        tab.wait_for_timeout(100)
        assert tab.locator("#count").inner_text() == count, "stopped is stopped"
        tab.keyboard.press("Enter")
        words, rows = finish(tab), table.text_content()
        tab.keyboard.press("Enter")
        expect(go).to_have_text("Stop")
        assert finish(tab) == words and table.text_content() == rows
        tab.locator("#anew").click()
        assert tab.locator("#count").inner_text() == "0 of 24"
        assert tab.evaluate("document.activeElement.id") == "go", "the focus is not lost"


def test_two_pairs_are_too_few_for_an_interval(chromium):
    with offline(chromium, PAGE) as tab:
        assert tab.evaluate("pairs = [{}, {}], conclusion()").startswith("2 pairs are too few")


def test_a_learner_turns_digits_and_moves_every_slider_by_keyboard(chromium):
    with offline(chromium, PAGE, **PHONE) as tab:
        assert tab.locator("#back").is_disabled()
        tab.locator("#next").press("Enter")
        assert "Digit 2 of 1197" in tab.locator("#classes-said").inner_text()
        tab.locator("#back").press("Enter")
        assert tab.evaluate("document.activeElement.id") == "next"
        tab.locator("summary").first.click()
        for slider in tab.locator("input[type=range]").all():
            before = slider.get_attribute("aria-valuetext")
            slider.press("ArrowLeft")
            assert slider.get_attribute("aria-valuetext") != before
        assert tab.evaluate("document.documentElement.scrollWidth") <= 340


@pytest.mark.slow
@pytest.mark.parametrize("how", [PHONE, {"viewport": {"width": 1280, "height": 800}}])
def test_everybody_can_read_it(chromium, how):
    need("axe_playwright_python")
    with offline(chromium, PAGE, "?seeds=3", **how) as tab:
        for summary in tab.locator("summary").all():
            summary.click()
        tab.locator("#go").click()
        finish(tab)
        assert accessibility_faults(tab) == []
        tab.locator("#language").press("Enter")
        assert accessibility_faults(tab) == [], "in Chinese"
        tab.evaluate("document.querySelector('#heat').parentElement.firstChild.remove()")
        tab.evaluate("document.body.style.color = '#808080'")
        rules = {fault.split(":")[0] for fault in accessibility_faults(tab)}
        assert rules >= {"label", "color-contrast"}, "and what nobody can read is found"


# --- in Chinese ----------------------------------------------------------------------------------

SEEN = """() => {
    const said = [...document.querySelectorAll("body *")].flatMap(place =>
        [place.ariaLabel, place.ariaValueText, place.checkVisibility() ? place.innerText : ""]);
    return [document.title, ...said].join(" "); }"""
STAY = """
English softmax logit hard label soft temperature seed confidence interval smoothing PyTorch
distillkit Alpaydin and Kaynak Optical Recognition of Handwritten Digits UCI repository CC BY scikit
learn Hinton Vinyals Dean arXiv"""  # names, and what a Chinese text, too, calls by its English name
HAN = r"[\u4e00-\u9fff]+"


def test_every_text_is_there_in_both_languages_and_used(chromium):
    text = PAGE.read_text(encoding="utf-8")
    named = {*re.findall(r'data-(?:t|label)="(\w+)"', text), *re.findall(r'\bt\("(\w+)"', text)}
    script = """Object.fromEntries(Object.entries(TEXT).map(([key, both]) =>
        [key, both.map(one =>
            [typeof one, one.length ?? Object.keys(one).join(), String(one)])]))"""
    with offline(chromium, PAGE) as tab:
        found = tab.evaluate(script)
    assert {*found} == named
    for key, (english, chinese) in found.items():
        assert english[0] == chinese[0], f"{key}: a text in one language only"
        assert english[0] == "string" or english[1] == chinese[1], f"{key}: other parts"
        assert not re.search(HAN, english[2]) and chinese[2], key


def test_the_button_changes_every_word_and_a_running_experiment_goes_on(chromium):
    from playwright.sync_api import expect

    with offline(chromium, PAGE, "?seeds=3") as tab:
        english = tab.evaluate(SEEN)
        assert re.findall(HAN, english) == ["中文"] * english.count("中文")
        tab.locator("#next").click()
        tab.locator("#go").click()
        tab.locator("#language").press("Enter")
        assert tab.evaluate("document.documentElement.lang") == "zh-CN"
        assert tab.evaluate("document.activeElement.id") == "language"
        for summary in tab.locator("summary").all():
            summary.click()
        expect(tab.locator("#go")).to_have_text("再做一次", timeout=END)
        words = {*re.findall(r"[A-Za-z]{2,}", tab.evaluate(SEEN))}
        assert words <= {*STAY.split()}, "these are still English"
        assert "第 2 个数字" in tab.locator("#classes-said").inner_text()
        assert re.search(
            r"95% 置信区间 .*，3 对）。用硬标签犯 100 个错", tab.locator("#result").inner_text()
        )
        tab.locator("#language").press("Enter")
        assert re.findall(HAN, now := tab.evaluate(SEEN)) == ["中文"] * now.count("中文")
        assert tab.locator("#go").inner_text() == "Run again"


def test_a_browser_in_chinese_opens_it_in_chinese(chromium):
    with offline(chromium, PAGE, locale="zh-CN") as tab:
        assert tab.title() == "软标签与硬标签：浏览器里的小实验"
        assert tab.locator("#language").get_attribute("lang") == "en"
