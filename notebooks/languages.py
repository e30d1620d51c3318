"""The languages of the lessons beside English: their few fixed words, and how a text of theirs is
put together.

A master carries a text in another language as a cell `# %% [markdown] lang="zh"` right below the
English one.  The words that the builder itself writes into texts stand in `LANGUAGES`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

HAN = r"[\u2e80-\u2fff\u3040-\u9fff\uf900-\ufaff]"
FULL = r"[\u3000-\u303f\ufe30-\ufe4f\uff00-\uff60]"  # punctuation that carries its own space
MARKS = r"\*{0,3}"  # of bold and italic
FIELD = re.compile(r"\{(?:lesson \d+|exercise [\w ]+|exercises|reading)\}")


@dataclass(frozen=True)
class Language:
    """What the builder writes in one language; `titles` and `levels` lack what stays English."""

    top: str  # the link at the top of a notebook in another language: {link}, {number}
    exercise: str  # the line below an exercise's heading: {minutes}, {level}, {hints}
    comma: str = ", "
    outputs: str = ""  # what is said of the outputs, which are those of the English notebook
    listed: str = ""  # what stands before a list of lessons in this language
    titles: Mapping[str, str] = field(default_factory=dict)
    levels: Mapping[str, str] = field(default_factory=dict)


LANGUAGES = {
    "en": Language(
        top="**English:** [online]({link}), or `python3 kit.py lesson {number} --copy`",
        exercise="*About {minutes} minutes, {level}. Stuck? One hint after the other:*\n{hints}",
    ),
    "zh": Language(
        top="**中文版**：[在线看]({link})，或 `python3 kit.py lesson {number} --copy --lang zh`",
        exercise="约 {minutes} 分钟，难度：{level}。卡住了？运行一次给一条提示：\n{hints}",
        comma="、",
        outputs="\n\n> 代码和它的输出（包括图）与英文版完全相同，所以输出仍是英文。",
        listed="中文版",
        titles={
            "00": "从这里开始",
            "01": "软标签与硬标签",
            "02": "解码策略",
            "03": "思维链模板",
            "04": "教师的解题轨迹",
            "05": "拒绝采样",
            "06": "LoRA 蒸馏",
            "07": "训练之前与之后",
            "08": "分步蒸馏",
            "09": "语言模型的软标签",
            "10": "先剪枝，再蒸馏",
            "11": "蒸馏、微调还是检索",
            "12": "交付使用",
            "13": "蒸馏一个算法",
            "14": "蒸馏一个采样器",
        },
        levels={"easy": "容易", "medium": "中等", "hard": "较难", "bonus": "选做"},
    ),
}


def is_wide(line: str) -> bool:
    """Say whether a line holds Chinese: it is joined with the next one and gets long."""
    return bool(re.search(f"{HAN}|{FULL}", line))


def unwrapped(text: str) -> str:
    """Join lines that end and begin with Chinese: Markdown would show a space between them.

    A blank line, and a line that begins a list, a table, a tag or a formula, stay as they are.
    Bold that ends with a full stop keeps its space: without one, Markdown shows the stars.
    """
    text = re.sub(rf"({HAN}{MARKS}|{FULL})\n *(?={MARKS}{HAN})", r"\1", text)
    text = re.sub(rf"(?<!\n)\n *(?={FULL})", "", text)
    return re.sub(rf"({FULL})\n *(?=[^\s<|>#-])(?!\$\$|\d+\.)", r"\1", text)


def facts(text: str) -> set[str]:
    """Return what a text has in every language: fields, formulas, code, and numbers in figures."""
    text = re.sub(r"\\(?:text|quad|qquad)(?:\{[^}]*\})?", "", text)  # words in a formula
    found = {*FIELD.findall(text)}
    text = FIELD.sub(" ", text)
    for sign in (r"\$\$(.+?)\$\$", r"\$(.+?)\$", r"`([^`]+)`"):
        found |= {re.sub(r"\s+", "", part) for part in re.findall(sign, text, re.DOTALL)}
        text = re.sub(sign, " ", text, flags=re.DOTALL)
    return found | {*re.findall(r"\d+(?:[.,]\d+)*", text)}
