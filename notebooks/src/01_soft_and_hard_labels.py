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
# # Soft and hard labels
#
# A **hard label** says one thing: *this is a cat*. A **soft label** says how
# sure the teacher is of each answer: *80 % cat, 15 % dog, 5 % tiger*.
# Is the second one really a better lesson? You will write both losses, break
# them in the ways that published code broke them, and measure the answer.
#
# **Afterwards you can**
# - turn logits into soft labels, and say what the temperature does;
# - write the soft loss in log-space and explain its factor T²;
# - balance hard and soft loss, and find the bug in other people's versions;
# - compare two ways of teaching with paired seeds and an interval.
#
# **Time:** the cells run for a few minutes on two CPU cores (the set-up cell
# says how many); with reading and exercises, plan {reading} minutes, about
# {exercises} of them for the exercises.
# **Hardware:** any laptop. No GPU, no language model and no download: the
# digits come with scikit-learn.

# %% [markdown] lang="zh"
# # 软标签与硬标签
#
# **硬标签**（hard label）只说一件事：这是一只猫。**软标签**（soft label）说的
# 是，教师对每个答案有多大把握：80% 是猫，15% 是狗，5% 是老虎。用软标签来教，学
# 生真的学得更好吗？这一课里，你会写出两种损失函数，把别人公开代码里犯过的错误重
# 犯一遍，再用测量来回答这个问题。
#
# **学完以后，你能**
# - 把 logits 变成软标签，并说清温度的作用；
# - 在对数空间里写出软损失，并解释因子 T² 从哪里来；
# - 平衡硬损失和软损失，并找出别人写法里的错误；
# - 用配对的随机种子和置信区间，比较两种教法。
#
# **时间**：在两个 CPU 核上，运行全部单元格要几分钟（具体多久，设置单元格会
# 说）。连阅读和练习一起，请安排 {reading} 分钟，其中练习约 {exercises} 分钟。
#
# **硬件**：任何笔记本电脑都行。不需要 GPU，不需要语言模型，也不用下载：手写数字
# 是 scikit-learn 自带的。

# %% tags=["setup"]
import distillkit as dk

machine = dk.start_lesson("01")

# %% [markdown]
# ## Predict first
#
# A small net learns from only 100 labelled pictures of digits. Of course it
# makes errors on new ones. Now a teacher tells it for the same 100 pictures
# how likely each of the ten digits is. Nothing else changes: same pictures,
# same net, same number of training steps.
#
# **Write your guess into the next cell before you go on.** Of 100 errors that
# the net makes with hard labels, how many are left with soft labels? More
# than 100 is a possible answer, too. The last section looks back.

# %% [markdown] lang="zh"
# ## 先预测
#
# 一个小网络只用 100 张带标签的数字图片来学习。看到新图片，它当然会出错。现在有
# 一位教师，对同样这 100 张图片，说出十个数字各有多大可能。其他都不变：图片一
# 样，网络一样，训练步数也一样。
#
# **继续之前，先把你的猜测写进下面的单元格。** 用硬标签时犯 100 个错，换成软标签
# 还剩几个？也可以猜一个比 100 大的数。最后一节再回头看。

# %%
my_guess = None  # errors left of 100, for example 95

# %%
import torch
import torch.nn.functional as F
from distillkit.lessons.l01_soft_labels import (
    checks,
    checks_bugs,
    digits,
    figures,
)

# %% [markdown]
# ## The idea: a cat, a dog, a tiger
#
# Think of a photo of a cat. The textbook says "cat" and stops. The teacher
# adds that this cat looks a little like a dog, and a very little like a
# tiger. Hinton called it *dark knowledge*: it hides in the small numbers.
#
# The **temperature** T makes small numbers visible. The teacher computes one
# score for each class, the logits $z$, and
#
# $$p_i(T) = \frac{e^{z_i/T}}{\sum_j e^{z_j/T}}$$
#
# T = 1 gives the teacher's own probabilities. A larger T makes them more
# even, a T near 0 leaves only the winner: then the soft label is hard.

# %% [markdown] lang="zh"
# ## 核心想法：猫、狗、老虎
#
# 想一张猫的照片。课本只说“猫”，就没有了。教师还会补一句：这只猫有一点像狗，还有
# 极小的一点像老虎。Hinton 把它叫作**暗知识**（dark knowledge）：它藏在那些很小
# 的数里。
#
# **温度**（temperature）T 让很小的数显现出来。教师给每个类别算一个分数，也就是
# logits $z$，然后
#
# $$p_i(T) = \frac{e^{z_i/T}}{\sum_j e^{z_j/T}}$$
#
# T = 1 给出教师本来的概率。T 越大，概率越平均；T 接近 0 时，只剩下最大的那一
# 个：这时软标签就变成了硬标签。

# %%
animals = ["cat", "dog", "tiger"]
logits = torch.tensor([0.80, 0.15, 0.05]).log()  # softmax gives these back
for T in (0.25, 1.0, 3.0, 20.0):
    probabilities = (logits / T).softmax(-1)
    words = [f"{100 * p:5.1f} % {a}" for a, p in zip(animals, probabilities)]
    print(f"T = {T:5.2f}: ", "  ".join(words))

# %%
dk.show(*figures.draw_softened(logits, 3.0, animals))

# %% [markdown]
# ### Exercise 1: soft labels
#
# {exercise softened}
#
# Write `softened`: logits of shape [B, C] (B examples, C classes) and a
# temperature in, probabilities of the same shape out. One line is enough.

# %% [markdown] lang="zh"
# ### 练习 1：软标签
#
# {exercise softened}
#
# 写出函数 `softened`：输入是形状为 [B, C] 的 logits（B 个样本，C 个类别）和一个
# 温度，输出是同样形状的概率。一行就够。


# %%
def softened(logits_BC, temperature):
    # >>> solution
    return (logits_BC / temperature).softmax(-1)
    # <<< stub: return None  # your code here


softened = checks.softened(softened)

# %% [markdown]
# ## A real teacher
#
# 1,797 handwritten digits, 8 × 8 pixels each. 600 are the test set that
# nobody trains on. The other 1,197 are the **pool**. The teacher is five nets
# that learned from the labels of the whole pool and answer together.

# %% [markdown] lang="zh"
# ## 一位真正的教师
#
# 1,797 个手写数字，每个 8 × 8 像素。其中 600 个是测试集，谁也不许用它训练。其余
# 1,197 个叫作**样本池**（pool）。教师由 5 个网络组成，它们用整个样本池的标签训
# 练，一起作答。

# %%
data = digits.load_digits()
quick = {"members": 1, "epochs": 5} if machine.fast else {}
print("training the nets of the teacher …", flush=True)
teacher = digits.train_teacher(data, **quick)
pool_logits = digits.ask(teacher, data.pool_BP)
test_logits = digits.ask(teacher, data.test_BP)
teacher_errors = digits.error_rate(test_logits, data.test_labels_B)
print(f"pool {len(data.pool_BP)}, test {len(data.test_BP)} digits")
print(f"the teacher makes {teacher_errors:.1f} errors in 100 test digits")

# %% [markdown]
# Move the temperature and look at different pictures. Rank 0 is the test
# digit of which the teacher is least sure, rank 599 the surest.
# *Where do the small numbers tell you something that the label does not?*

# %% [markdown] lang="zh"
# 移动温度滑块，换几张图片看看。rank 0 是教师最没把握的测试数字，rank 599 是最有
# 把握的。想一想：在哪些图片上，那些很小的数告诉了你标签没有说的事？

# %%
sureness = test_logits.softmax(-1).max(-1).values.argsort()
classes = [str(d) for d in range(10)]


def draw_label(temperature, rank):
    place = sureness[rank]
    picture = data.test_BP[place]
    label = str(data.test_labels_B[place].item())
    return figures.draw_softened(
        test_logits[place], temperature, classes, picture, label
    )


dk.explore(
    draw_label,
    temperature=[0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0],
    rank=(0, 599, 1),
    static=[
        {"temperature": 4.0, "rank": 5},
        {"temperature": 16.0, "rank": 5},
        {"temperature": 4.0, "rank": 500},
    ],
)

# %% [markdown]
# ## The hard loss
#
# The hard loss is the cross-entropy with the label $y$: how surprised is the
# student, with probabilities $q$, by the right answer?
#
# $$L_\text{hard} = -\log q_y \quad\text{(mean over the examples)}$$
#
# We compute it by hand and by PyTorch. Two routes, one number.

# %% [markdown] lang="zh"
# ## 硬损失
#
# 硬损失是与标签 $y$ 的交叉熵（cross-entropy）：学生给出概率 $q$，看到正确答案时
# 有多“吃惊”？
#
# $$L_\text{hard} = -\log q_y \quad\text{（对样本取平均）}$$
#
# 我们手算一次，再用 PyTorch 算一次。两条路，同一个数。

# %%
images, truth = data.pool_BP[:100], data.pool_labels_B[:100]
soft = pool_logits[:100]
student = digits.new_student(seed=0)  # untrained: one hidden layer of 16
answers = digits.ask(student, images)

by_hand = -answers.log_softmax(-1)[torch.arange(100), truth].mean()
by_torch = F.cross_entropy(answers, truth)
print(f"by hand {by_hand:.6f}   F.cross_entropy {by_torch:.6f}")

# %% [markdown]
# It starts near log 10 = 2.303: an untrained student knows nothing of the ten
# classes. (`log` is the natural logarithm everywhere.)
#
# ## Stay in log-space
#
# On paper, `softmax(z).log()` and `log_softmax(z)` are the same. In float32
# they are not: $e^{-200}$ is too small to be stored and becomes 0. The log of
# 0 is −∞, and 0 · (−∞) is NaN, "not a number". One such example in a batch
# makes every weight NaN.

# %% [markdown] lang="zh"
# 它从 log 10 = 2.303 附近开始：没训练过的学生对十个类别一无所知。（这里的 `log`
# 都是自然对数。）
#
# ## 留在对数空间
#
# 在纸上，`softmax(z).log()` 和 `log_softmax(z)` 是一回事。在 float32 里却不
# 是：$e^{-200}$ 太小，存不下，变成了 0。0 的对数是 −∞，而 0 · (−∞) 是 NaN，也就
# 是“不是一个数”。一个批次里只要有一个这样的样本，所有权重都会变成 NaN。

# %%
sure = torch.tensor([[200.0, 0.0, -50.0]])
p = sure.softmax(-1)
print("softmax, then log:", p.log().tolist())
print("log_softmax:      ", sure.log_softmax(-1).tolist())
wrong, right = p * p.log(), p * sure.log_softmax(-1)
print("sum of p · log p: ", wrong.sum().item(), "and", right.sum().item())

gap = (pool_logits.max(-1).values - pool_logits.min(-1).values).max()
print(f"\nlargest gap between two logits of our teacher: {gap:.0f}")
for T in (4.0, 1.0, 0.25):
    p = (pool_logits / T).softmax(-1)
    bad = (p * p.log()).isnan().any(-1).sum()
    print(f"T = {T:4.2f}: NaN for {bad} of {len(p)} digits")

# %% [markdown]
# Float32 gives up at a gap of about 104. A low temperature stretches every
# gap: T = 0.25 makes it four times as wide. So we write
# `log_softmax(-1)`, which never leaves log-space, and take its `exp()` where
# we need a probability.
#
# ## The soft loss
#
# The soft loss compares all ten probabilities: the teacher's $p$ and the
# student's $q$, **both** at temperature T.
#
# $$L_\text{soft} = T^2 \sum_i p_i(T)\,
#   \big(\log p_i(T) - \log q_i(T)\big)$$
#
# The sum is the Kullback–Leibler divergence KL(p ‖ q). It is 0 when the
# student says exactly what the teacher says. What T² is for comes below.
#
# *Move the student. Which term grows fastest when the student forgets the
# dog? Can a single term be negative? Can the sum?*

# %% [markdown] lang="zh"
# 分数差到 104 左右，float32 就不行了。温度低会把所有差距拉大：T = 0.25 时，差距
# 变成 4 倍。所以我们写 `log_softmax(-1)`，始终留在对数空间；要用概率的地方，再
# 取 `exp()`。
#
# ## 软损失
#
# 软损失比较全部十个概率：教师的 $p$ 和学生的 $q$，**两者**都取温度 T。
#
# $$L_\text{soft} = T^2 \sum_i p_i(T)\,
#   \big(\log p_i(T) - \log q_i(T)\big)$$
#
# 这个和叫作 Kullback–Leibler 散度，记作 KL(p ‖ q)。学生说的和教师完全一样时，它
# 等于 0。T² 有什么用，下面会讲。
#
# 动手移动学生的滑块，想一想：学生忘掉“狗”的时候，哪一项增长最快？单独一项能是负
# 数吗？总和呢？

# %%
cat_dog_tiger = [0.80, 0.15, 0.05]


def draw_terms(cat, dog_of_the_rest):
    dog = (1 - cat) * dog_of_the_rest
    student = [cat, dog, 1 - cat - dog]
    return figures.draw_kl_terms(cat_dog_tiger, student, animals)


dk.explore(
    draw_terms,
    cat=(0.02, 0.98, 0.02),
    dog_of_the_rest=(0.01, 0.99, 0.01),
    static=[
        {"cat": 0.34, "dog_of_the_rest": 0.5},
        {"cat": 0.8, "dog_of_the_rest": 0.75},
        {"cat": 0.94, "dog_of_the_rest": 0.01},
    ],
)

# %% [markdown]
# ### Exercise 2: the soft loss
#
# {exercise soft_loss}
#
# Mean over the examples, sum over the classes. The teacher must get no
# gradient: `teacher_BC.detach()` has the same numbers and none. Stay in
# log-space: `log_softmax`, not `softmax(...).log()`.

# %% [markdown] lang="zh"
# ### 练习 2：软损失
#
# {exercise soft_loss}
#
# 对样本取平均，对类别求和。梯度不能传到教师：`teacher_BC.detach()` 数值相同，但
# 不传梯度。留在对数空间里：用 `log_softmax`，不要用 `softmax(...).log()`。


# %%
def soft_loss(student_BC, teacher_BC, temperature):
    # >>> solution
    student_log = (student_BC / temperature).log_softmax(-1)
    teacher_log = (teacher_BC.detach() / temperature).log_softmax(-1)
    kl_B = (teacher_log.exp() * (teacher_log - student_log)).sum(-1)
    return temperature**2 * kl_B.mean()
    # <<< stub: return None  # your code here


soft_loss = checks.soft_loss(soft_loss)

# %% [markdown]
# The second route is PyTorch's `F.kl_div`. Its conventions are strange, and
# most bugs come from them: the **student comes first**, as
# **log**-probabilities; the teacher comes second, as probabilities; and only
# `reduction="batchmean"` gives the mean over examples.

# %% [markdown] lang="zh"
# 第二条路是 PyTorch 的 `F.kl_div`。它的约定很别扭，大多数错误就出在这里：**学生
# 放在第一位**，而且是**对数**概率；教师放在第二位，是概率；只有
# `reduction="batchmean"` 才是对样本取平均。

# %%
T = 4.0
second = T**2 * F.kl_div(
    (answers / T).log_softmax(-1),
    (soft / T).softmax(-1),
    reduction="batchmean",
)
first, who = soft_loss(answers, soft, T), dk.whose(soft_loss)
print(f"{who} {first:.6f}   F.kl_div {second:.6f}")
print(f"the teacher against itself {soft_loss(soft, soft, T):.6f}")

# %% [markdown]
# ## Why T²?
#
# Take a high T. Then $e^{z/T}$ is nearly $1 + z/T$, and with C classes and
# logits whose mean is 0 (teacher $t$, student $s$):
#
# $$p_i \approx \tfrac{1}{C}\big(1 + t_i/T\big), \qquad
#   q_i \approx \tfrac{1}{C}\big(1 + s_i/T\big)$$
# $$\frac{\partial\,\mathrm{KL}}{\partial s_i}
#   = \frac{1}{T}\,(q_i - p_i)
#   \approx \frac{1}{C\,T^2}\,(s_i - t_i)$$
# $$\text{times } T^2:\quad \frac{1}{C}\,(s_i - t_i)
#   \quad\text{: no } T \text{ is left.}$$
#
# One 1/T comes from the division $s/T$, the other one because at a high T the
# probabilities of both come close to each other. The factor T² makes up for
# both, so that **the balance between hard and soft loss stays nearly the same
# when you change T**.

# %% [markdown] lang="zh"
# ## 为什么要乘 T²？
#
# 设 T 很大。这时 $e^{z/T}$ 约等于 $1 + z/T$。设有 C 个类别，logits 的平均值为 0
# （教师 $t$，学生 $s$），那么
#
# $$p_i \approx \tfrac{1}{C}\big(1 + t_i/T\big), \qquad
#   q_i \approx \tfrac{1}{C}\big(1 + s_i/T\big)$$
# $$\frac{\partial\,\mathrm{KL}}{\partial s_i}
#   = \frac{1}{T}\,(q_i - p_i)
#   \approx \frac{1}{C\,T^2}\,(s_i - t_i)$$
# $$\text{乘以 } T^2:\quad \frac{1}{C}\,(s_i - t_i)
#   \quad\text{：} T \text{ 消掉了。}$$
#
# 一个 1/T 来自除法 $s/T$，另一个来自概率本身：温度越高，两边的概率就越接近。因
# 子 T² 正好补上这两个，所以**改变 T 时，硬损失与软损失之间的比重几乎不变**。

# %%
dk.show(*figures.draw_gradient_sizes(answers, soft))

# %% [markdown]
# ## Textbook and professor: the balance α
#
# $$L = \alpha\, L_\text{soft} + (1-\alpha)\, L_\text{hard}$$
#
# α = 0 is the textbook alone, α = 1 the teacher alone. The hard loss is
# always taken at T = 1: the label has no temperature.
#
# ### Exercise 3: the balance
#
# {exercise balanced_loss}
#
# Use your `soft_loss` and `F.cross_entropy`.

# %% [markdown] lang="zh"
# ## 课本与教授：平衡系数 α
#
# $$L = \alpha\, L_\text{soft} + (1-\alpha)\, L_\text{hard}$$
#
# α = 0 是只看课本，α = 1 是只听教师。硬损失总是取 T = 1：标签没有温度。
#
# ### 练习 3：平衡
#
# {exercise balanced_loss}
#
# 用你写的 `soft_loss`，再加上 `F.cross_entropy`。


# %%
def balanced_loss(student_BC, teacher_BC, labels_B, alpha, temperature):
    # >>> solution
    soft = soft_loss(student_BC, teacher_BC, temperature)
    hard = F.cross_entropy(student_BC, labels_B)
    return alpha * soft + (1 - alpha) * hard
    # <<< stub: return None  # your code here


balanced_loss = checks.balanced_loss(balanced_loss)

# %%
for alpha in (0.0, 0.5, 1.0):
    mine = balanced_loss(answers, soft, truth, alpha, 4.0)
    kits = dk.distillation_loss(answers, soft, truth, alpha, 4.0)
    who = dk.whose(balanced_loss)
    print(f"alpha {alpha}: {who} {mine:.6f}   second route {kits:.6f}")

# %% [markdown]
# ## The training loop
#
# Here is all that a training is. The student sees its 100 pictures, the loss
# compares its answers with the teacher's and with the labels, and Adam moves
# each weight a little against its gradient. `balanced_loss` is the function
# that you wrote.

# %% [markdown] lang="zh"
# ## 训练循环
#
# 训练就是下面这些，没有别的。学生看它的 100 张图片，损失函数拿它的回答去比教师
# 的回答和标签，Adam 再让每个权重朝梯度的反方向挪一点点。`balanced_loss` 就是你
# 刚写的函数。

# %%
STEPS = 10 if machine.fast else digits.STEPS


def train(places, seed, alpha, temperature):
    images, labels = data.pool_BP[places], data.pool_labels_B[places]
    soft, student = pool_logits[places], digits.new_student(seed)
    optimizer = torch.optim.Adam(student.parameters(), lr=digits.RATE)
    for step in range(STEPS):
        answers = student(images)
        loss = balanced_loss(answers, soft, labels, alpha, temperature)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 99:
            print(f"step {step + 1}: loss {loss.item():.4f}")
    return student


places = digits.choose_digits(data, n=100, seed=0)
mine = train(places, seed=0, alpha=1.0, temperature=4.0)
kits = digits.train_student(data, pool_logits, places, 1.0, 4.0, 0, STEPS)
for name, net in (("this loop", mine), ("the kit's", kits)):
    wrong = digits.error_rate(digits.ask(net, data.test_BP), data.test_labels_B)
    print(f"{name}: {wrong:.1f} errors in 100 test digits")

# %% [markdown]
# ## Find the bug
#
# Three soft losses. A and B are from public code (shortened), C is the formula
# typed as a textbook prints it. Each of them runs, and each is wrong. First
# measure: in a column all four numbers should be the same. (A KL divergence is
# never negative.)

# %% [markdown] lang="zh"
# ## 找出错误
#
# 下面有三个软损失。A 和 B 来自公开的代码（有删减），C 是照着教科书的公式直接写
# 的。三个都能运行，三个都是错的。先测量：每一列的四个数本应相同。（KL 散度从来
# 不会是负数。）


# %%
def published_a(s, t, T):
    p, log_q = (t / T).softmax(-1), (s / T).log_softmax(-1)
    return T**2 * F.kl_div(log_q, p, reduction="none").mean()


def published_b(s, t, T):
    p, q = (t / T).softmax(-1), (s / T).softmax(-1)
    return T**2 * F.kl_div(q, p, reduction="batchmean")


def published_c(s, t, T):
    p, q = (t / T).softmax(-1), (s / T).softmax(-1)
    return T**2 * (p * (p.log() - q.log())).sum(-1).mean()


sharp, flat = torch.tensor([[300.0, 0, 0]]), torch.zeros(1, 3)
for name, loss in {
    dk.whose(soft_loss): soft_loss,
    "A": published_a,
    "B": published_b,
    "C": published_c,
}.items():
    print(
        f"{name:9}  digits {loss(answers, soft, 4.0):8.4f}   "
        f"very sure teacher {loss(flat, sharp, 2.0):8.4f}"
    )

# %% [markdown]
# ### Exercise 4: mend them
#
# {exercise mended_a mended_b mended_c}
#
# Write each one correctly, with as small a change as you can. Beware of half
# repairs: the checks know several that were published, too.

# %% [markdown] lang="zh"
# ### 练习 4：改正它们
#
# {exercise mended_a mended_b mended_c}
#
# 把每一个都改对，改动越小越好。小心只改对一半：有几种只改对一半的写法也公开发表
# 过，检查程序认得它们。


# %%
def mended_a(s, t, T):
    # >>> solution
    p, log_q = (t / T).softmax(-1), (s / T).log_softmax(-1)
    return T**2 * F.kl_div(log_q, p, reduction="batchmean")
    # <<< stub: return None  # published_a, mended


def mended_b(s, t, T):
    # >>> solution
    p, log_q = (t / T).softmax(-1), (s / T).log_softmax(-1)
    return T**2 * F.kl_div(log_q, p, reduction="batchmean")
    # <<< stub: return None  # published_b, mended


def mended_c(s, t, T):
    # >>> solution
    log_p = (t / T).log_softmax(-1)
    log_q = (s / T).log_softmax(-1)
    return T**2 * (log_p.exp() * (log_p - log_q)).sum(-1).mean()
    # <<< stub: return None  # published_c, mended


mended_a = checks_bugs.mended_a(mended_a)
mended_b = checks_bugs.mended_b(mended_b)
mended_c = checks_bugs.mended_c(mended_c)

# %% [markdown]
# ## Experiment: do soft labels teach more than hard ones?
#
# **The set-up was chosen before the first result was seen.** One student is
# no proof: it may have been lucky. Chance comes in at two places, the 100
# digits and the first weights, and a **seed** fixes both: the same seed, the
# same digits and the same weights. So each seed gives a **pair**: two
# students that began alike, one taught with hard labels and one with soft
# ones. We look at the *difference* in each pair.

# %% [markdown] lang="zh"
# ## 实验：软标签真的比硬标签教得多吗？
#
# **实验方案在看到第一个结果之前就定好了。** 一个学生说明不了问题：它也许只是运
# 气好。有两处要看运气，一是抽到哪 100 个数字，二是最初的权重。一个**随机种子**
# （seed）把两者都定下来：种子相同，数字就相同，权重也相同。所以每个种子得到**一
# 对**学生，它们的起点完全一样，一个用硬标签教，一个用软标签教。我们看的是每一对
# 里的**差**。

# %%
S = range(3 if machine.fast else 20)
smooth = digits.smoothed_labels(data.pool_labels_B, smoothing=0.1)


def teach(teacher_BC=pool_logits, **how):
    words = ", ".join(f"{name} {value}" for name, value in how.items())
    how = {"loss": balanced_loss, "steps": STEPS, **how}
    seeds = dk.counted(f"students with {words}", S)
    return digits.student_errors(data, teacher_BC, seeds, **how)


hard, soft_only = teach(alpha=0.0), teach(alpha=1.0, temperature=4.0)
names = ("hard labels", "soft labels")
print(f"{2 * len(S)} students; the loss is {dk.whose(balanced_loss)}")
dk.show(*figures.draw_pairs(hard, soft_only, names))

# %% [markdown]
# The **95 % interval** says what the mean difference may be, if these seeds are
# a fair sample of all seeds: of 100 such intervals, about 95 contain the true
# value. If it contains 0, chance alone could explain the result.
#
# But why do soft labels help? Two explanations are possible, so there are four
# ways to teach, 300 steps of Adam each:
#
# - **hard labels** (α = 0), the baseline;
# - **label smoothing**: 91 % on the label, 1 % on each other class. This
#   label is soft, too, but it knows nothing. It is the control: if it did as
#   well, the teacher would not matter;
# - **both** (α = 0.5, T = 4) and **soft labels** (α = 1, T = 4).
#
# The main comparison is soft against hard. The table prints the difference as
# errors with soft labels minus errors with hard labels: a negative number means
# that soft labels gave fewer errors. The claim *holds* if the whole interval of
# the difference lies below 0, it is *not shown* if the interval contains 0, and
# it is *refuted* if the whole interval lies above 0. (The ledger of claims
# counts the other way, how many errors *fewer*: there a plus speaks for the
# claim.)

# %% [markdown] lang="zh"
# **95% 置信区间**（confidence interval）说的是：如果这些种子能公平地代表所有种
# 子，平均的差可能是多少。100 个这样的区间里，大约有 95 个包含真实值。如果区间包
# 含 0，光凭运气也能解释这个结果。
#
# 可是软标签为什么有用？有两种可能的解释，所以我们比较四种教法，每种都用 Adam 训
# 练 300 步：
#
# - **硬标签**（α = 0）：基线；
# - **标签平滑**（label smoothing）：正确的类别占 91%，其他每个类别占 1%。它也是
#   软的，却什么都不知道。这是对照组：如果它的效果一样好，那就和教师无关了；
# - **两者都用**（α = 0.5，T = 4）；
# - **软标签**（α = 1，T = 4）。
#
# 主要比较的是软标签与硬标签。表里的差是：软标签的错误数减去硬标签的错误数，负数
# 表示用软标签错得更少。如果整个区间在 0 以下，这个说法就**成立**；如果区间包含
# 0，它就**没有得到证实**；如果整个区间在 0 以上，它就**被推翻了**。（总账
# `distillkit claims` 反过来数，数的是**少**错了几个：在那里，正数支持这个说
# 法。）

# %%
both = teach(alpha=0.5, temperature=4.0)
smoothed = teach(smooth, alpha=1.0, temperature=1.0)
ways = {"hard labels": hard, "label smoothing": smoothed, "both": both}
ways["soft labels"] = soft_only
print(dk.statistics.table(ways, baseline="hard labels"), "\n")
print(dk.statistics.conclusion(("hard labels", "soft labels"), hard, soft_only))
print(
    dk.statistics.conclusion(
        ("label smoothing", "soft labels"), smoothed, soft_only
    )
)
dk.show(*figures.draw_ways(ways))

# %% [markdown]
# ## Experiment: the digit the student never saw
#
# Hinton's test. The student gets 300 digits, and **not one of them is a 3**.
# Can it recognise a 3? With hard labels it has no reason to say "3" ever.
# With soft labels it has heard about the 3 only in small numbers: "this is an
# 8, and it looks a little like a 3".
#
# It answers 3 too rarely, because in its training 3 was never the right
# answer. Hinton's remedy: add a **bias** to the logit of 3. We choose it on
# pool digits that the student was not trained on, never on the test set. That
# choice does use labels of 3s, for one single number.

# %% [markdown] lang="zh"
# ## 实验：学生从没见过的数字
#
# 这是 Hinton 的实验。学生拿到 300 个数字，其中**没有一个是 3**。它能认出 3 吗？
# 用硬标签时，它没有任何理由说出“3”。用软标签时，它只从很小的数里听说过 3：“这是
# 一个 8，看上去有一点像 3”。
#
# 它的回答会偏离 3，因为在它的世界里，3 从来不是正确答案。Hinton 的补救办法是：
# 给 3 的 logit 加一个**偏置**（bias）。偏置的大小，我们用样本池里学生没学过的数
# 字来选，绝不用测试集。选的时候确实用到了 3 的标签，但只为了定一个数。

# %%
MISSING = {"hard labels": 0.0, "soft labels": 1.0}  # the alphas
how = {"loss": balanced_loss, "steps": STEPS}
missing = {
    way: [
        digits.miss_digit(data, pool_logits, s, alpha=a, **how)
        for s in dk.counted(f"students with {way}", S)
    ]
    for way, a in MISSING.items()
}
students = {way: results[0] for way, results in missing.items()}


def draw_bias(bias):
    return figures.draw_missing(students, bias)


dk.explore(
    draw_bias,
    bias=(0.0, 20.0, 0.25),
    static=[{"bias": b} for b in (0.0, 3.0, 8.0, 20.0)],
)

# %% [markdown]
# *Move the bias. Where do you find most 3s without losing the other digits?*
# The picture shows the two students of seed 0.
# Now all seeds, with the bias chosen on the spare digits for each student:

# %% [markdown] lang="zh"
# 移动偏置滑块，想一想：偏置取多少时，找到的 3 最多，又不丢掉其他数字？图里是种
# 子 0 的两个学生。下面是全部种子，每个学生的偏置都用留出的数字来选：

# %%
found, errors = {}, {}
for way, results in missing.items():
    biases = [m.best_bias() for m in results]
    plain = [m.found() for m in results]
    mended = [m.found(b) for m, b in zip(results, biases)]
    for name, values in ((way, plain), (f"{way} + bias", mended)):
        found[name], errors[name] = map(list, zip(*values))
    print(f"{way}: mean bias {sum(biases) / len(biases):.1f}")
print("\n3s recognised, in 100")
print(dk.statistics.table(found, baseline="hard labels + bias"))
print("\nerrors in 100 test digits, all classes")
print(dk.statistics.table(errors, baseline="hard labels + bias"))

# %%
mean, low, high = dk.statistics.interval(found["soft labels"])
print(
    f"Without a bias the student on soft labels recognises {mean:.0f} of "
    f"100 digits of a kind it never saw (95 % interval {low:.0f} to "
    f"{high:.0f}, {len(S)} seeds); the one on hard labels recognises "
    f"{dk.statistics.interval(found['hard labels'])[0]:.0f}."
)
names = ("soft labels", "soft labels + bias")
print(dk.statistics.conclusion(names, *(errors[n] for n in names)))
names = ("hard labels + bias", "soft labels + bias")
print(dk.statistics.conclusion(names, *(errors[n] for n in names)))

# %% [markdown]
# For comparison, Hinton, Vinyals and Dean (2015, section 3) on MNIST, 10,000
# test digits: 206 errors when the student never saw a 3, of these 133 on the
# 1,010 threes; after the bias 109 errors, 14 of them on threes. They chose the
# bias (3.5) on the test set.
#
# ## Look back at your guess

# %% [markdown] lang="zh"
# 作个对比：Hinton、Vinyals 和 Dean（2015，第 3 节）在 MNIST 的 10,000 个测试数
# 字上，学生从没见过 3 时错 206 个，其中 133 个错在那 1,010 个 3 上；加上偏置以
# 后错 109 个，其中 14 个错在 3 上。他们的偏置（3.5）是在测试集上选的。
#
# ## 回头看你的猜测

# %%
mean, low, high = dk.statistics.interval(soft_only)
print(
    f"Soft labels: {mean:.1f} errors in 100 (95 % interval {low:.1f} to "
    f"{high:.1f}); hard labels: {dk.statistics.interval(hard)[0]:.1f}; "
    f"the teacher: "
    f"{teacher_errors:.1f}."
)
left = 100 * mean / dk.statistics.interval(hard)[0]
print(f"Of 100 errors with hard labels {left:.0f} are left with soft labels.")
if my_guess is not None:
    print(f"Your guess was {my_guess}.")

# %% [markdown]
# ## What can go wrong
#
# - **The teacher in training mode.** Dropout then makes its labels random.
#   Call `teacher.eval()`, and ask it under `torch.no_grad()`.
# - **The loss that looks fine.** Reversed arguments, a missing T² or a mean
#   over the classes still give a curve that goes down. Compare with a second
#   route, as above.
# - **An optimizer that hides a wrong scale.** Adam divides by the size of the
#   gradient. So a soft loss that is ten times too small trains just as
#   well at α = 1, and gives a wrong balance at every other α.
# - **A fair comparison?** Our teacher saw the labels of 1,197 digits, the
#   student only 100. Soft labels pass on what the teacher learned elsewhere.
#   They do not create knowledge.
# - **The same people wrote the test set.** Our digits are from 13 people, and
#   each of them wrote digits of the pool *and* of the test set. On the digits
#   of a stranger all errors here would be higher.
# - **Seeds that are not paired.** Two means over different students need many
#   more seeds to show the same difference.

# %% [markdown] lang="zh"
# ## 哪里容易出错
#
# - **教师还在训练模式。** 这时 dropout 会让它的标签变得随机。要调用
#   `teacher.eval()`，并在 `torch.no_grad()` 里问它。
# - **看上去没问题的损失。** 参数写反，漏了 T²，或者对类别取了平均，曲线照样下
#   降。要像上面那样，用第二条路核对。
# - **优化器掩盖了错误的尺度。** Adam 会除以梯度的大小。所以一个小了十倍的软损
#   失，在 α = 1 时照样训练得很好，换成别的 α，比重就不对了。
# - **比较公平吗？** 我们的教师见过 1,197 个数字的标签，学生只见过 100 个。软标
#   签传递的是教师在别处学到的东西，并不会凭空产生知识。
# - **测试集出自同一批人之手。** 这些数字是 13 个人写的，每个人的字在样本
#   池**和**测试集里都有。换成陌生人写的数字，这里的错误都会更多。
# - **种子没有配对。** 如果两个平均值来自不同的学生，要用多得多的种子才能看出同
#   样的差别。

# %% [markdown]
# ## For the curious
#
# The lesson is complete. Four more experiments with the same students, and one
# more exercise, for those who have time; each can be done without the others.
#
# ### Would another teacher say the same?
#
# The interval above covers the student's luck: which digits, which first
# weights. It does not cover the teacher's luck or the test set's, because
# these were fixed. So here each seed draws *everything* anew: the split, the
# teacher and the student.

# %% [markdown] lang="zh"
# ## 写给还想知道更多的人
#
# 课到这里已经完整了。下面还有四个实验，用的是同样的学生，另有一道给学得快的人做
# 的练习；每一个都可以单独看。
#
# ### 换一位教师，结论还一样吗？
#
# 上面的区间只算了学生的运气：抽到哪些数字，最初的权重是多少。教师的运气和测试集
# 的运气没有算进去，因为它们是固定的。所以这里每个种子都把**所有东西**重新抽一
# 遍：数据划分、教师和学生。

# %%
small = {"members": 1, "epochs": 2} if machine.fast else {}
seeds = range(3 if machine.fast else 10)
seeds = dk.counted("teachers, each with two students", seeds)
anew = [digits.new_pair(s, **how, **small) for s in seeds]
new_hard, new_soft = ([pair[i] for pair in anew] for i in (0, 1))
print("Everything anew for each seed:")
print(
    dk.statistics.conclusion(("hard labels", "soft labels"), new_hard, new_soft)
)

# %% [markdown]
# ### Which temperature?
#
# The same seeds, soft labels only, T from 1 to 16. T = 4 was fixed in advance.
# Do not report the lowest point of such a curve as *the* result: the best of
# five looks better than it is, because luck helped to choose it.

# %% [markdown] lang="zh"
# ### 用哪个温度？
#
# 种子不变，只用软标签，T 从 1 到 16。T = 4 是事先定好的。不要把这种曲线的最低点
# 当作最终结果来报告：从五个里挑出来的最好的一个，看上去总比实际的好，因为挑选时
# 运气也帮了忙。

# %%
by_T = {T: teach(alpha=1.0, temperature=T) for T in (1, 2, 8, 16)}
by_T = dict(sorted({**by_T, 4: soft_only}.items()))
rows = {"hard": hard, **{f"T = {T}": e for T, e in by_T.items()}}
print(dk.statistics.table(rows, baseline="hard"))

below = [T for T, e in by_T.items() if dk.statistics.paired(hard, e)[2] < 0]
which = ", ".join(map(str, below)) or "none"
print(f"At {len(below)} of {len(by_T)} temperatures the interval of the")
print(f"difference lies wholly below hard labels: T = {which}.")
print(dk.statistics.conclusion(("T = 1", "T = 4"), by_T[1], by_T[4]))
levels = {"hard labels": hard, "label smoothing": smoothed}
dk.show(*figures.draw_sweep(by_T, "temperature", levels, log_axis=True))

# %% [markdown]
# ### Textbook, professor, or both?
#
# The claim: the student does best when it balances the two. Same seeds,
# T = 4, α from 0 to 1 with both ends. The claim needs the middle to beat
# **both** ends; we ask that of α = 0.5, fixed in advance.

# %% [markdown] lang="zh"
# ### 课本、教授，还是两者都要？
#
# 有一种说法：学生在两者之间取得平衡时，学得最好。种子不变，T = 4，α 从 0 到 1，
# 两端都包括。要证实它，中间必须比**两端**都好；我们只看事先定好的 α = 0.5。

# %%
by_alpha = {a: teach(alpha=a, temperature=4.0) for a in (0.25, 0.75)}
by_alpha |= {0.0: hard, 0.5: both, 1.0: soft_only}
by_alpha = dict(sorted(by_alpha.items()))
rows = {f"alpha = {a}": e for a, e in by_alpha.items()}
print(dk.statistics.table(rows, baseline="alpha = 0.0"))

for end, errors in ((0, hard), (1, soft_only)):
    print(
        dk.statistics.conclusion(
            (f"alpha = {end}", "alpha = 0.5"), errors, both
        )
    )
wins = [dk.statistics.paired(end, both)[2] < 0 for end in (hard, soft_only)]
print("So the claim is", "shown" if all(wins) else "not shown", "here:")
print(f"the balance beats {sum(wins)} of the 2 ends.")
dk.show(*figures.draw_sweep(by_alpha, "alpha"))

# %% [markdown]
# ### How much does it matter?
#
# A soft label carries more information than a hard one. When there are many
# digits, should it still matter? Same seeds, T = 4, 50 to 400 digits.

# %% [markdown] lang="zh"
# ### 数据多少，影响有多大？
#
# 软标签带的信息比硬标签多。数字多了以后，这还重要吗？种子不变，T = 4，数字从 50
# 个到 400 个。

# %%
by_n = {"hard labels": {100: hard}, "soft labels": {100: soft_only}}
for n in (50, 200, 400):
    by_n["hard labels"][n] = teach(alpha=0.0, n=n)
    by_n["soft labels"][n] = teach(alpha=1.0, temperature=4.0, n=n)

for n in (50, 100, 200, 400):
    pair = [by_n[way][n] for way in ("hard labels", "soft labels")]
    print(f"{n:3} digits:", dk.statistics.conclusion(("hard", "soft"), *pair))
dk.show(*figures.draw_curves(by_n))

# %% [markdown]
# ### Bonus: a teacher who names only a few classes
#
# {exercise top_k_loss}
#
# A language model has 150,000 classes, and a server tells only the k likeliest.
# Write `top_k_loss`: KL(p ‖ q) at T = 1, mean over the examples, over the
# teacher's k likeliest classes **and one class "all the others"**. Without that
# last one the sum is no KL divergence any more.

# %% [markdown] lang="zh"
# ### 选做：只说出几个类别的教师
#
# {exercise top_k_loss}
#
# 语言模型有 150,000 个类别，而服务器只告诉你概率最大的 k 个。写出函数
# `top_k_loss`：T = 1 时的 KL(p ‖ q)，对样本取平均，类别是教师概率最大的 k
# 个，**再加上一类“其余全部”**。少了这一类，这个和就不再是 KL 散度了。


# %%
def top_k_loss(student_BC, teacher_BC, k):
    # >>> solution
    places_Bk = teacher_BC.topk(k).indices

    def few(logits_BC):
        log_BC = logits_BC.log_softmax(-1)
        others_BC = log_BC.scatter(-1, places_Bk, float("-inf"))
        rest_B1 = others_BC.logsumexp(-1, keepdim=True)
        return torch.cat([log_BC.gather(-1, places_Bk), rest_B1], -1)

    log_p, log_q = few(teacher_BC.detach()), few(student_BC)
    return (log_p.exp() * (log_p - log_q)).sum(-1).mean()
    # <<< stub: return None  # your code here


top_k_loss = checks.top_k_loss(top_k_loss)

# %% [markdown]
# ## Questions
#
# <details><summary>1. What are the soft labels at T → 0, and at T → ∞?
# </summary>
#
# At T → 0 all probability goes to the largest logit: the teacher's answer as
# a hard label. At T → ∞ all classes get the same: the label says nothing.
# With T² the gradient stays of a useful size even then, and the loss turns
# into half the squared distance of the (centred) logits, divided by the
# number of classes.
# </details>
#
# <details><summary>2. Cross-entropy with soft labels or KL divergence: does
# it matter?</summary>
#
# Not for the gradient: they differ by the teacher's entropy, which does not
# depend on the student. It matters for reading the curve: only the KL
# divergence is 0 when the student has learned everything.
# </details>
#
# <details><summary>3. Why did label smoothing serve as the control?</summary>
#
# It separates two explanations: "labels that are not 0 or 1 keep a net from
# being too sure" and "the teacher's numbers carry knowledge". Only the second
# one needs a teacher.
# </details>
#
# <details><summary>4. Why is the bias not chosen on the test set?</summary>
#
# Whatever is chosen on the test set is measured too well on it. One number
# chosen among 81 is a small advantage, but it costs nothing to avoid it.
# </details>
#
# <details><summary>5. The bug in A made the loss ten times too small. Where
# would you notice it first?</summary>
#
# In the balance: at α = 0.5 the soft part has almost no weight. For a language
# model with 150,000 classes the loss is 150,000 times too small.
# </details>
#
# ## To take along
#
# The page below trains the same nets in a browser: one file without
# installation and network, for somebody who has only a phone. Its seeds draw
# other digits than PyTorch's. How far apart may the two results be?

# %% [markdown] lang="zh"
# ## 思考题
#
# <details><summary>1. T → 0 时软标签是什么？T → ∞ 时呢？</summary>
#
# T → 0 时，全部概率都归最大的 logit：软标签就是教师的答案，成了硬标签。T → ∞
# 时，所有类别一样多：标签什么也没说。乘了 T²，梯度这时仍有合适的大小，损失则变
# 成（中心化的）logits 之差的平方和的一半，再除以类别数。
# </details>
#
# <details><summary>2. 用软标签的交叉熵，还是用 KL 散度，有区别吗？</summary>
#
# 对梯度没有区别：两者只差教师的熵，而它和学生无关。读曲线时有区别：只有 KL 散度
# 在学生全部学会时等于 0。
# </details>
#
# <details><summary>3. 为什么用标签平滑作对照？</summary>
#
# 它把两种解释分开了：一种是“标签不是 0 就是 1 时，网络会过于自信，不那么极端就
# 好”；另一种是“教师给的数里有知识”。只有第二种需要教师。
# </details>
#
# <details><summary>4. 为什么不在测试集上选偏置？</summary>
#
# 凡是在测试集上选出来的东西，再拿测试集去测，结果都偏好。从 81 个数里选一个，占
# 的便宜很小，但要避免它也不花什么代价。
# </details>
#
# <details><summary>5. A 的错误让损失小了十倍。你最先会在哪里发现它？</summary>
#
# 在平衡里：α = 0.5 时，软损失几乎没有分量。对有 150,000 个类别的语言模型，损失
# 会小 150,000 倍。
# </details>
#
# ## 带走一个网页
#
# 下面这个网页在浏览器里训练同样的网络：只有一个文件，不用安装，也不用网络，手机
# 上就能打开。它的种子抽到的数字和 PyTorch 的不同。两边的结果可以相差多少？

# %%
dk.progress()
dk.page("soft_labels.html")

# %% [markdown]
# ## Where to go next
#
# - **{lesson 02}** uses the temperature for something else: to
#   draw the next token of a language model.
# - **{lesson 09}** uses this soft loss on every token.
# - Read `distillkit/training/losses.py`: it is what you wrote here, with the
#   edges covered. `distillkit/lessons/l01_soft_labels/digits.py` is the
#   experiment.
# - Hinton, Vinyals, Dean: *Distilling the Knowledge in a Neural Network*
#   (arXiv 1503.02531), nine pages and easy to read.
# - Where the bugs were found (GitHub issues): A in HikariTJU/LD #74 and in
#   yuanli2333/Teacher-free-Knowledge-Distillation #41, B in microsoft/ProDA
#   #20 and #43. C is the formula typed as the textbook prints it.
#
# *Sources.* The cat example and the two claims (soft labels teach more; the
# student balances textbook and professor) are from popular articles on
# distillation; what is measured here is ours. Digits: Alpaydin and Kaynak,
# *Optical Recognition of Handwritten Digits*, UCI repository, 1998, as
# scikit-learn ships them.

# %% [markdown] lang="zh"
# ## 接下来
#
# - **{lesson 02}**：温度的另一个用处，为语言模型抽取下一个 token。
# - **{lesson 09}**：把这里的软损失用在每一个 token 上。
# - 读一读 `distillkit/training/losses.py`：就是你写的函数，只是把边界情况也处理
#   好了。`distillkit/lessons/l01_soft_labels/digits.py` 是这里的实验。
# - Hinton, Vinyals, Dean: *Distilling the Knowledge in a Neural Network*
#   (arXiv 1503.02531)，一共九页，不难读。
# - 那些错误的出处（GitHub issues）：A 在 HikariTJU/LD #74 和
#   yuanli2333/Teacher-free-Knowledge-Distillation #41，B 在 microsoft/ProDA #20
#   和 #43。C 是照教科书的公式直接写的。
#
# 来源：猫的例子，以及那两种说法（软标签教得更多；学生要在课本和教授之间取得平
# 衡），出自介绍蒸馏的科普文章；这里的测量是我们自己做的。手写数字：Alpaydin and
# Kaynak, *Optical Recognition of Handwritten Digits*, UCI repository, 1998，取
# 自 scikit-learn。
