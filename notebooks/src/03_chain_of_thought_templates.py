# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Chain-of-thought templates
#
# A teacher's solution is text. A **template** says how that text is written:
# where the steps stand, where the answer stands, and how a program can find
# it again. The student learns the template together with the mathematics, and
# every number in this series is read out of it.
#
# **Afterwards you can**
# - write a template and a parser that survives what models really write;
# - say which tokens of an example are learned, and why the others are not;
# - compare templates with numbers, not by taste.
#
# **Time:** the cells run for a few minutes on two CPU cores (the set-up cell
# says how many); with reading and exercises, plan {reading} minutes, about
# {exercises} of them for the exercises.
# **Hardware:** any laptop with 4 GB of free memory. The first run downloads a
# model.

# %% [markdown] lang="zh"
# # 思维链模板
#
# 教师的解答是一段文本。**模板**（template）规定这段文本怎么写：步骤放在哪里，答
# 案放在哪里，程序又怎样把答案找回来。学生在学数学的同时也学模板，这个系列里的每
# 一个数字，都是从模板里读出来的。
#
# **学完以后，你能**
# - 写一个模板和一个解析器（parser），模型真正写出来的东西也难不倒它；
# - 说出一个样本里哪些 token 要学，其余的为什么不学；
# - 用数字来比较模板，而不是凭喜好。
#
# **时间**：在两个 CPU 核上，运行全部单元格要几分钟（具体多久，设置单元格会
# 说）。连阅读和练习一起，请安排 {reading} 分钟，其中练习约 {exercises} 分钟。
#
# **硬件**：任何有 4 GB 空闲内存的笔记本电脑。第一次运行会下载一个模型。

# %% tags=["setup"]
import distillkit as dk

machine = dk.start_lesson("03")

# %% [markdown]
# ## Predict first
#
# The same 64 solved equations are written in five templates, and a student is
# trained on each. Four templates show the steps; the fifth shows the answer
# only.
#
# **Write two guesses into the next cell.** One student learned
# `<think>steps</think><answer>…</answer>`: how many of 100 new equations does
# it solve? Another one learned the answer only: how many does that one solve?

# %% [markdown] lang="zh"
# ## 先预测
#
# 同样的 64 个解好的方程，用五种模板各写一遍，每一种训练一个学生。四种模板写出步
# 骤，第五种只写答案。
#
# **在下面的单元格里写两个猜测。** 学了 `<think>steps</think><answer>…</answer>`
# 的学生，在 100 个新方程里能解对多少个？只学了答案的学生呢？

# %%
guess_think = None  # of 100
guess_answer_only = None  # of 100

# %%
from collections import Counter

from distillkit.lessons.l03_templates import checks, figures

student = dk.load(machine.student, machine.device, machine.dtype)
tokenizer = student.tokenizer

# %% [markdown]
# ## Five ways to write one solution
#
# Each template has an **instruction** (it stands in the system message), a
# way to **render** steps and answer as text, and a **pattern** that reads the
# text back.

# %% [markdown] lang="zh"
# ## 同一份解答的五种写法
#
# 每个模板有三样东西：一条**指令**（instruction），放在系统消息里；一种**渲染**
# （render）方法，把步骤和答案写成文本；一个**模式**（pattern），把文本再读回
# 来。

# %%
problem = dk.make_problem("3x + 5 = 20")
for template in dk.TEMPLATES.values():
    print(f"--- {template.name}: {template.instruction}")
    print(dk.render_solution(problem, template))

# %% [markdown]
# ### Exercise 1: write
#
# {exercise write_think}
#
# Write `write_think`: a list of steps and an answer in, a text in the first
# template out. The line ends must be as above, to the letter.

# %% [markdown] lang="zh"
# ### 练习 1：写
#
# {exercise write_think}
#
# 写出函数 `write_think`：输入步骤的列表和答案，输出按第一种模板写的文本。换行的
# 位置必须和上面一模一样。


# %%
def write_think(steps, answer):
    # >>> solution
    lines = "\n".join(steps)
    return f"<think>\n{lines}\n</think>\n<answer>{answer}</answer>"
    # <<< stub: return None  # your code here


write_think = checks.write_think(write_think)

# %%
steps = ["3x = 20 - 5", "3x = 15", "x = 15 / 3", "x = 5"]
same = write_think(steps, "x = 5") == dk.render_solution(problem, dk.THINK)
print(f"{dk.whose(write_think)} writes what dk.render_solution writes:", same)

# %% [markdown]
# ## What the student sees
#
# A chat template puts the messages into one text, and the tokenizer cuts it
# into tokens. The loss looks only at the **completion**: the steps, the
# answer, and the end token. The prompt is read, never learned. Without the
# end token in the loss the student would never learn to stop.
#
# *Type an equation of your own and change the template. Which template has
# the fewest tokens to learn? Which one spends tokens on its own signs?*

# %% [markdown] lang="zh"
# ## 学生看到的是什么
#
# 对话模板（chat template）把几条消息拼成一段文本，分词器（tokenizer）再把它切成
# token。损失只看**补全部分**（completion）：步骤、答案和结束 token。提示词
# （prompt）只读不学。如果结束 token 不算进损失，学生就永远学不会停下来。
#
# 试一试：换一个你自己的方程，再换几种模板。哪种模板要学的 token 最少？哪种把
# token 花在了自己的符号上？


# %%
def draw_example(equation, template):
    problem = dk.make_problem(equation)
    form = dk.TEMPLATES[template]
    reply = {"role": "assistant", "content": dk.render_solution(problem, form)}
    prompt = dk.messages(problem.text, form)
    (example,) = dk.encode(
        [{"prompt": prompt, "completion": [reply]}], tokenizer
    )
    tokens = [tokenizer.decode([token]) for token in example.ids]
    return figures.draw_mask(tokens, example.labels)


dk.explore(
    draw_example,
    equation="3x + 5 = 20",
    template=list(dk.TEMPLATES),
    static=[{"template": name} for name in ("think", "json", "answer-only")],
)

# %% [markdown]
# ### Exercise 2: the loss mask
#
# {exercise with_labels}
#
# Write `with_labels`: token numbers of a prompt and of a completion and the
# end token in; the pair (ids, labels) out. A label of −100 means "do not
# learn this token". Do not shift: the model's loss compares each prediction
# with the *next* label itself.

# %% [markdown] lang="zh"
# ### 练习 2：损失掩码
#
# {exercise with_labels}
#
# 写出函数 `with_labels`：输入提示词的 token 编号、补全的 token 编号和结束
# token，输出一对 (ids, labels)。标签 −100 表示“这个 token 不学”。不要错位：模型
# 的损失会自己拿每个预测去比**下一个**标签。


# %%
def with_labels(prompt, completion, end):
    # >>> solution
    ids = prompt + completion + [end]
    labels = [-100] * len(prompt) + completion + [end]
    return ids, labels
    # <<< stub: return None  # your code here


with_labels = checks.with_labels(with_labels)

# %%
reply = {"role": "assistant", "content": dk.render_solution(problem, dk.THINK)}
chat = dk.messages(problem.text, dk.THINK)
(example,) = dk.encode([{"prompt": chat, "completion": [reply]}], tokenizer)
text = dk.chat_text(tokenizer, chat)
prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
own = tokenizer(reply["content"], add_special_tokens=False)["input_ids"]
ids, labels = with_labels(prompt, own, tokenizer.eos_token_id)
same = (ids, labels) == (example.ids, example.labels)
print(f"{dk.whose(with_labels)} gives what dk.encode gives:", same)

# %% [markdown]
# ## What models really write
#
# These answers were recorded: the untouched student, 20 equations, each
# template, without and with six solved examples in the prompt. We parse all of
# them and count why a text was refused.

# %% [markdown] lang="zh"
# ## 模型真正写出来的是什么
#
# 这些回答是事先录好的：没训练过的学生，20 个方程，每种模板，提示词里不放例题，
# 或者放六道例题。我们把它们全部解析一遍，数一数每段文本为什么被拒绝。

# %%
path = dk.data_path("template_outputs.jsonl")
recorded = dk.read_jsonl(path)
print(recorded[0]["student"])
for stage in ("untouched", "few-shot"):
    for name, template in dk.TEMPLATES.items():
        rows = [r for r in recorded if r["stage"] == stage]
        rows = [r for r in rows if r["template"] == name]
        why = Counter(template.parse(r["text"]).problem or "read" for r in rows)
        print(f"{stage:10} {name:12}", dict(why))

# %% [markdown]
# An instruction alone is hardly obeyed by a model this small; examples in the
# prompt are. One template is the exception: headings. Perhaps that is because
# Markdown is common in what it was trained on. These texts were refused
# (*length*: cut off by the limit; *stop*: it ended at the template's closing
# text; *eos*: the model ended by itself):

# %% [markdown] lang="zh"
# 这么小的模型，光给指令几乎不会照做；提示词里有例题，它就会照做。有一种模板是例
# 外：用标题（headings）的那种。也许因为它的训练材料里 Markdown 很常见。下面是被
# 拒绝的文本（*length*：到了长度上限被截断；*stop*：写到模板的结束文字就停
# 了；*eos*：模型自己结束的）：


# %%
def obeyed(row):
    return dk.TEMPLATES[row["template"]].parse(row["text"]).ok


refused = [r for r in recorded if not obeyed(r)]
for name in ("think", "boxed", "json", "answer-only"):
    row = next(r for r in refused if r["template"] == name)
    print(f"--- {name}, {row['question']} ({row['finish']})")
    print(row["text"][:160])

# %% [markdown]
# ### Exercise 3: read
#
# {exercise read_think}
#
# Write `read_think`: a text in, the answer out, or `None` if the template was
# not obeyed. The rules:
#
# - spaces and line ends around the text, between the tags and around the
#   answer do not matter;
# - there is exactly one `<think>…</think>` and then one
#   `<answer>…</answer>`, no tag inside them, and nothing before or after;
# - an empty answer counts as not obeyed;
# - no text may stop the function. It is tested with eleven texts.
#
# *Hint:* `re.fullmatch` with `re.DOTALL`, and `(?:(?!</?answer>).)*` for "any
# text without this tag".

# %% [markdown] lang="zh"
# ### 练习 3：读
#
# {exercise read_think}
#
# 写出函数 `read_think`：输入文本，输出答案；如果没有遵守模板，就输出 `None`。规
# 则如下：
#
# - 文本前后、标签之间、答案前后的空格和换行都不算；
# - 恰好有一个 `<think>…</think>`，后面恰好有一个 `<answer>…</answer>`，里面没有
#   别的标签，前后也没有别的文字；
# - 答案为空，算没有遵守；
# - 无论什么文本，都不能让函数中断。我们用 11 段文本来测试它。
#
# 提示：用 `re.fullmatch` 和 `re.DOTALL`；“不含这个标签的任意文本”可以写成
# `(?:(?!</?answer>).)*`。

# %%
import re


def read_think(text):
    # >>> solution
    inside = r"(?:(?!</?think>|</?answer>).)*"
    pattern = rf"<think>{inside}</think>\s*<answer>({inside})</answer>"
    found = re.fullmatch(pattern, text.strip(), re.DOTALL)
    return (found[1].strip() or None) if found else None
    # <<< stub: return None  # your code here


read_think = checks.read_think(read_think)

# %%
texts = [r["text"] for r in recorded]
kits = [p.answer if (p := dk.THINK.parse(t)).ok else None for t in texts]
same = sum(read_think(t) == answer for t, answer in zip(texts, kits))
print(
    f"{dk.whose(read_think)} reads {same} of {len(texts)} recorded texts "
    "as the kit's parser does"
)

# %% [markdown]
# Why so strict? A parser that repairs everything hides what the student has not
# learned, and it gives a wrong answer where two are written. The kit reports
# both: **exact** (strict: form and value) and **lenient** (only the value: one
# is read, the clearest or the last, whatever the form of the text).
#
# ## Now live
#
# Ask and check, in two small functions. `generate` builds the prompt, here with
# six solved examples in it (**few-shot**), and lets the student write the
# likeliest token again and again, up to the template's closing text. `exact` is
# strict: the text was not cut off, it can be read, and what was read has the
# right value. (`dk.same_value` compares numbers, so that 1/2 and 0.5 are
# the same.)

# %% [markdown] lang="zh"
# 为什么要这么严格？如果解析器什么都替学生修好，就看不出学生没学会什么；文本里有
# 两个答案时，它还会给出错的那个。工具包两种都报告：**exact**（严格：格式和数值
# 都对）和 **lenient**（宽松：不管格式，只读出一个数值，最明确的或最后的那个）。
#
# ## 现场试一次
#
# 提问和检查，各写成一个小函数。`generate` 拼出提示词，这里带六道例题（**少样本
# 提示**，few-shot），然后让学生一次又一次写下最可能的 token（贪心解码，greedy
# decoding），直到模板的结束文字。`exact` 很严格：文本没有被截断，能读出来，而且
# 读出来的数值正确。（`dk.same_value` 比较的是数，所以 1/2 和 0.5 算一样。）

# %%
asked = dk.make_problem("4x - 9 = 2x + 5", split="test")
limit = 24 if machine.fast else 128


def generate(problem, template):
    chat = dk.messages(problem.text, template, dk.SHOTS)
    prompt = dk.chat_text(tokenizer, chat)
    how = {"max_new_tokens": limit, "stop": template.stop}
    ((written,),) = dk.sample(student.model, tokenizer, [prompt], **how)
    return written  # its text, and how it ended


def exact(written, problem, read):
    answer = read(written.text)
    in_form = answer is not None and written.finish != "length"
    return in_form and dk.same_value(answer, problem.answer)


def reader(template):
    def read(text):
        parsed = template.parse(text)
        return parsed.answer if parsed.ok else None

    return read


for name, template in dk.TEMPLATES.items():
    written = generate(asked, template)
    read = read_think if name == "think" else reader(template)
    verdict = "exact" if exact(written, asked, read) else "not exact"
    print(f"--- {name}: {verdict}, {written.tokens} tokens")
    print(written.text[:200])

# %% [markdown]
# `dk.evaluate` does the same for many equations at once, and it takes your
# parser.

# %% [markdown] lang="zh"
# `dk.evaluate` 对许多方程一次做完同样的事，还可以用你写的解析器。

# %%
some = dk.make_problems(2 if machine.fast else 8, dk.NARROW, "test", seed=3)
model, how = student.model, {"shots": dk.SHOTS, "max_new_tokens": limit}
rows = dk.evaluate(model, tokenizer, some, read=read_think, **how)
right = sum(row["exact"] for row in rows)
who = {"yours": "your parser", "the kit's": "the kit's parser"}
print(f"{right} of {len(some)} exact, read by {who[dk.whose(read_think)]}")

# %% [markdown]
# ## Experiment: does the template matter?
#
# **The claim.** A template gives clear, consistent and readable output. And a
# student that shows its steps solves more.
#
# For each template one student was trained on the same 64 equations and
# solutions (three seeds), with 20 % general examples, and asked 100 new
# equations. The row "arithmetic" is the first template with every sum and
# product written out. `python -m benchmarks.experiments.templates` makes it
# again.

# %% [markdown] lang="zh"
# ## 实验：用哪种模板，有关系吗？
#
# **要检验的说法**：有了模板，输出就清楚、一致、好读。而且，写出步骤的学生解对得
# 更多。
#
# 每种模板训练一个学生，都用同样的 64 个方程和解答（三个种子），另加 20% 的通用
# 样本，然后考 100 个新方程。“arithmetic”一行用的是第一种模板，但把每一步加法和
# 乘法都写了出来。命令 `python -m benchmarks.experiments.templates` 可以重做这个
# 实验。

# %%
everything = dk.data("templates")
taught = everything.where(split="taught")
trained = taught.where(stage="distilled")
distilled = trained.where(form="terse").arms("template")
distilled |= trained.where(form="arithmetic").arms("form")
few = taught.where(stage="few-shot").arms("template")
in_form = taught.arms(("template", "stage"), "format")
print("answers in the asked form, %   untouched  few-shot  after training")
for name in dk.TEMPLATES:
    means = [in_form[f"{name}, {stage}"] for stage in ("untouched", "few-shot")]
    means.append(trained.where(form="terse").arms("template", "format")[name])
    shown = "".join(f"{sum(m) / len(m):11.0f}" for m in means)
    print(f"{name:28}{shown}")
first = {name: values[0] for name, values in few.items()}
dk.show(*figures.draw_templates(first, distilled))

# %%
dk.show_arms(distilled, "think")

# %% [markdown]
# The last column is the paired difference from "think": the same seed, the
# same equations. Three seeds give wide intervals, and where the interval
# holds 0, nothing can be claimed. Look at *in form* after training, too: does
# the student obey every template, or only some?
#
# ### Steps against the answer alone
#
# The last template is a claim of its own: *teaching the reasoning beats
# teaching the answer*. It is measured on the taught kinds of equations and on
# kinds that no student was taught.

# %% [markdown] lang="zh"
# 最后一列是与“think”的配对差：种子相同，方程相同。三个种子的区间很宽；区间包含
# 0 的地方，什么都不能断言。也看看训练后的“in form”（格式正确）：学生是每种模板
# 都遵守，还是只遵守其中几种？
#
# ### 写步骤，还是只写答案
#
# 最后一种模板本身就是一个说法：**教推理过程，胜过只教答案**。测量分两部分：学生
# 学过的方程类型，以及没有一个学生学过的类型。

# %%
pair = ["answer-only", "think"]
for split in ("taught", "other"):
    rows = everything.where(split=split, template=pair, form=["terse", ""])
    print(f"{split} kinds:")
    dk.compare(rows.where(stage="distilled").arms("template"), *pair)
    for name, right in rows.where(stage="few-shot").arms("template").items():
        print(f"  untrained, examples in the prompt, {name}: {right[0]:.0f}")

# %% [markdown]
# **Careful.** Most of the difference does not need training: an untrained
# student, too, solves far more when the examples in its prompt show steps. So
# *writing* steps beats answering at once. Does *teaching* the steps gain more
# than showing them in the prompt? This experiment does not compare that.

# %% [markdown] lang="zh"
# **小心。** 大部分差别不用训练就有：没训练过的学生，例题里写了步骤，解对的也多
# 得多。所以，**写出**步骤胜过直接给答案。至于**教**步骤是否比在提示词里**展
# 示**步骤收获更大，这个实验没有比较。

# %% [markdown]
# ## Experiment: what do the steps look like?
#
# The template says where the steps stand, not what they are. The kit's solver
# can write one solution in several forms:

# %% [markdown] lang="zh"
# ## 实验：步骤写成什么样？
#
# 模板只规定步骤放在哪里，没有规定步骤是什么。工具包的求解程序能把同一份解答写成
# 几种形式：

# %%
equation = "7x - 12 = 4x + 30"
forms = {name: steps_of(equation) for name, steps_of in dk.FORMS.items()}
print(figures.columns(forms))

# %% [markdown]
# *Which form would you teach? Which step could go wrong in each?*
#
# Here, again, one student is trained for each way and each seed. It learns 64
# solutions of the same equations and is asked 100 new ones. The base way has
# the form "arithmetic" and asks in other people's words
# (`9 - 4*k = 33. What is k?`). Every other way differs from it in one thing:
# the form; the kit's own words only; easy families first; half of the
# equations, twice. `python -m benchmarks.experiments.curriculum` makes it
# again.

# %% [markdown] lang="zh"
# 想一想：你会教哪种形式？每种形式里，哪一步容易出错？
#
# 这里同样是每种做法、每个种子训练一个学生：同样 64 个方程的解答，考 100 个新方
# 程。基准做法（base）用“arithmetic”形式，题目用别人的话来问
# （`9 - 4*k = 33. What is k?`）。其他每种做法只改一处：改步骤的形式；只用工具包
# 自己的问法；先学容易的类型；只用一半的方程，每个学两遍。命令
# `python -m benchmarks.experiments.curriculum` 可以重做这个实验。

# %%
others = ("traces", "times", "few-shot", "untouched")  # more than one change
rows = dk.data("curriculum").where(split="worded")
for row in rows:
    row["one change"] = not any(word in row["recipe"] for word in others)
ways = rows.where(**{"one change": True})
for name, found in ways.arms("recipe", "answer_tokens").items():
    print(f"{name:24} {sum(found) / len(found):4.0f} tokens an answer")
dk.show_arms(ways.arms("recipe"), "base")

# %% [markdown]
# These are many comparisons. Even where there is no difference at all, one
# interval in twenty misses 0, by luck alone. Three seeds show only large
# differences: after 64 solutions the two longest forms are worse. That is not
# the last word. A long form is more to learn; after 3,200 solutions "collect"
# solves most of the hardest equations (lesson 07).

# %% [markdown] lang="zh"
# 比较得这么多，每二十个区间里就会有一个单凭运气不包含 0。三个种子只能看出大的差
# 别：学了 64 份解答之后，最长的两种形式更差。但这还不是定论。形式越长，要学的就
# 越多；学了 3,200 份解答之后，“collect”能解出大部分最难的方程（第 07 课）。

# %% [markdown]
# ### Bonus: braces in pairs
#
# {exercise read_boxed}
#
# An early version of this kit cut `\boxed{\frac{1}{2}}` at the first `}`.
# Write `read_boxed`: a text in; what stands in the last box out, with its
# braces in pairs, or `None` if no box is closed.

# %% [markdown] lang="zh"
# ### 选做：成对的花括号
#
# {exercise read_boxed}
#
# 这个工具包的一个早期版本，读 `\boxed{\frac{1}{2}}` 时遇到第一个 `}` 就截断了。
# 写出函数 `read_boxed`：输入文本，输出最后一个方框里的内容，花括号要成对；如果
# 没有一个方框是闭合的，就输出 `None`。


# %%
def read_boxed(text):
    # >>> solution
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth = 0
    for at in range(start + len("\\boxed"), len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return text[start + len("\\boxed{") : at]
    return None
    # <<< stub: return None  # your code here


read_boxed = checks.read_boxed(read_boxed)

# %%
boxes = [r"x = \boxed{\frac{-3}{4}}", r"\boxed{4}, no: \boxed{x = {5}}"]
for text in boxes:
    print(f"{text:28} → {read_boxed(text)}")

# %% [markdown]
# ## Look back at your guesses

# %% [markdown] lang="zh"
# ## 回头看你的猜测

# %%
mean = {name: sum(found) / len(found) for name, found in distilled.items()}
print(f"think: {mean['think']:.0f} of 100 equations solved")
print(f"answer-only: {mean['answer-only']:.0f} of 100 equations solved")
if guess_think is not None or guess_answer_only is not None:
    print(f"Your guesses were {guess_think} and {guess_answer_only}.")

# %% [markdown]
# ## What can go wrong
#
# - **The template of training is not that of use.** One space more in the
#   prompt, and a small student may fall back into its old habits. The exported
#   student must get the same text, byte for byte (lesson 12).
# - **Prompt tokens in the loss.** The student learns to write questions.
# - **No end token in the loss.** It never stops and runs into the limit.
# - **A stop text that the answer may contain.** Stop at the first `}` of a box,
#   and an answer such as `\frac{1}{2}` is cut in half. So `boxed` has none.
# - **Repairing in the parser.** Then nobody sees that the student does not
#   obey, and two answers in one text count as right by luck.
# - **Copying a large model's talk.** Small students have been found to learn
#   less from long free reasoning (Li et al. 2025, arXiv 2502.12143). More
#   *computed lines* are another matter: see the last experiment.
#
# ## Questions
#
# <details><summary>1. Why does the reasoning stand before the answer?
# </summary>
#
# A model writes from left to right. Only what is written already can help the
# next token. Reasoning after the answer is an explanation, not a calculation.
# </details>
#
# <details><summary>2. The template costs tokens. Are they lost?</summary>
#
# Partly: the tags are always the same, so they are learned after a few
# examples and cost time only. The steps are what buys right answers.
# </details>
#
# <details><summary>3. Why is the instruction in the system message, when the
# student is trained on one template only?</summary>
#
# It can tie the new habit to that message: with another system message the
# student still answers general questions in its old way (lesson 05 counts it).
# </details>

# %% [markdown] lang="zh"
# ## 哪里容易出错
#
# - **训练时的模板和使用时的不一样。** 提示词里多一个空格，小模型就可能回到老习
#   惯。导出后的学生必须拿到一个字节都不差的同样文本（第 12 课）。
# - **提示词的 token 算进了损失。** 学生学会的是出题。
# - **结束 token 没有算进损失。** 它停不下来，一直写到上限。
# - **答案里可能出现结束文字。** 如果遇到方框的第一个 `}` 就停，`\frac{1}{2}` 这
#   样的答案就被切成两半。所以 `boxed` 没有结束文字。
# - **在解析器里修修补补。** 这样谁也看不出学生没有遵守模板，一段文本里写两个答
#   案，也会凭运气算对。
# - **照搬大模型的长篇大论。** 有研究发现，小模型从自由发挥的长推理里学到的反而
#   更少（Li et al. 2025, arXiv 2502.12143）。多写几行**算式**是另一回事：见最后
#   一个实验。
#
# ## 思考题
#
# <details><summary>1. 为什么推理写在答案前面？</summary>
#
# 模型从左往右写。只有已经写下的东西，才能帮助下一个 token。写在答案后面的推理只
# 是解释，不是计算。
# </details>
#
# <details><summary>2. 模板要花 token。这些 token 是浪费吗？</summary>
#
# 一部分是：标签总是一样的，学几个样本就会了，之后只是多花时间。换来正确答案的，
# 是步骤。
# </details>
#
# <details><summary>3. 学生只用一种模板训练，为什么还要把指令放在系统消息
# 里？</summary>
#
# 这样可以把新习惯和那条消息绑在一起：换一条系统消息，学生仍然按老样子回答一般的
# 问题（第 05 课会数一数）。
# </details>

# %%
dk.progress()

# %% [markdown]
# ## Where to go next
#
# - **{lesson 04}**: who writes the solutions, and what they may cost.
# - **{lesson 05}**: rules that throw bad traces away.
# - Read `distillkit/traces/templates.py` and `distillkit/training/packing.py`:
#   this lesson is these two files.
# - Wei et al., *Chain-of-Thought Prompting Elicits Reasoning in Large Language
#   Models* (arXiv 2201.11903).
#
# *Sources.* The form `<think>…</think><answer>…</answer>` is that of
# DeepSeek-R1 (arXiv 2501.12948); what is measured here is ours.

# %% [markdown] lang="zh"
# ## 接下来
#
# - **{lesson 04}**：解答由谁来写，允许花多少代价。
# - **{lesson 05}**：把坏的轨迹扔掉的规则。
# - 读一读 `distillkit/traces/templates.py` 和
#   `distillkit/training/packing.py`：这一课讲的就是这两个文件。
# - Wei et al., *Chain-of-Thought Prompting Elicits Reasoning in Large Language
#   Models* (arXiv 2201.11903).
#
# 来源：`<think>…</think><answer>…</answer>`
# 这种格式来自 DeepSeek-R1（arXiv 2501.12948）；这里的测量是我们自己做的。
