"""Right attempts that are written differently from the kit's: one to three an exercise.

They are written as learners write.

The name of an exercise, two underscores, and how it is done.
"""

from __future__ import annotations

import json
import math
import re
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F

from distillkit.lessons.l14_sampler import diffusion
from distillkit.training.losses import soft_loss


# 01
def softened__function(logits_BC, temperature):
    return torch.softmax(logits_BC / temperature, dim=1)


def softened__by_hand(logits_BC, temperature):
    z = logits_BC / temperature
    z = z - z.max(dim=-1, keepdim=True).values
    e = torch.exp(z)
    return e / e.sum(dim=-1, keepdim=True)


def softened__rows(logits_BC, temperature):
    return torch.stack([F.softmax(row / temperature, dim=0) for row in logits_BC])


def soft_loss__kl_div(student_BC, teacher_BC, temperature):
    p = F.softmax(teacher_BC.detach() / temperature, dim=-1)
    log_q = F.log_softmax(student_BC / temperature, dim=-1)
    return F.kl_div(log_q, p, reduction="batchmean") * temperature**2


def soft_loss__log_target(student_BC, teacher_BC, temperature):
    with torch.no_grad():
        t = F.log_softmax(teacher_BC / temperature, dim=-1)
    s = F.log_softmax(student_BC / temperature, dim=-1)
    return F.kl_div(s, t, reduction="batchmean", log_target=True) * temperature * temperature


def soft_loss__loop(student_BC, teacher_BC, temperature):
    total = 0
    for s, t in zip(student_BC, teacher_BC.detach()):
        log_p = (t / temperature).log_softmax(0)
        total = total + (log_p.exp() * (log_p - (s / temperature).log_softmax(0))).sum()
    return temperature**2 * total / len(student_BC)


def balanced_loss__other_way(student_BC, teacher_BC, labels_B, alpha, temperature):
    hard = F.nll_loss(student_BC.log_softmax(-1), labels_B)
    soft = soft_loss(student_BC, teacher_BC, temperature)
    return hard + alpha * (soft - hard)


def balanced_loss__gather(student_BC, teacher_BC, labels_B, alpha, temperature):
    picked = student_BC.log_softmax(-1).gather(1, labels_B[:, None])
    return (1 - alpha) * -picked.mean() + soft_loss(student_BC, teacher_BC, temperature) * alpha


def mended_a__log_target(s, t, T):
    return T**2 * F.kl_div(
        (s / T).log_softmax(1), (t / T).log_softmax(1), reduction="batchmean", log_target=True
    )


def mended_a__sum(s, t, T):
    return F.kl_div((s / T).log_softmax(1), (t / T).softmax(1), reduction="sum") * T * T / len(s)


def mended_b__log_target(s, t, T):
    log_p, log_q = F.log_softmax(t / T, -1), F.log_softmax(s / T, -1)
    return F.kl_div(log_q, log_p, log_target=True, reduction="batchmean") * T**2


def mended_b__by_hand(s, t, T):
    log_p, log_q = F.log_softmax(t / T, -1), F.log_softmax(s / T, -1)
    return T**2 * torch.sum(torch.exp(log_p) * (log_p - log_q), dim=1).mean()


def mended_c__kl_div(s, t, T):
    return T**2 * F.kl_div((s / T).log_softmax(-1), (t / T).softmax(-1), reduction="batchmean")


def mended_c__logsumexp(s, t, T):
    a, b = t / T, s / T
    log_p = a - a.logsumexp(-1, keepdim=True)
    log_q = b - b.logsumexp(-1, keepdim=True)
    return T * T * (log_p.exp() * (log_p - log_q)).sum(-1).mean(0)


def top_k_loss__mask(student_BC, teacher_BC, k):
    places = teacher_BC.detach().topk(k, dim=-1).indices
    mask = torch.zeros_like(teacher_BC, dtype=torch.bool).scatter(1, places, True)

    def parts(z):
        logs = z.log_softmax(-1)
        rest = logs.masked_fill(mask, -math.inf).logsumexp(-1)
        return logs.gather(1, places), rest

    (p, p_rest), (q, q_rest) = parts(teacher_BC.detach()), parts(student_BC)
    inside = (p.exp() * (p - q)).sum(-1)
    return (inside + p_rest.exp() * (p_rest - q_rest)).mean()


# 02
def nucleus__loop(probs_V, top_p):
    order = sorted(range(len(probs_V)), key=lambda i: -probs_V[i])
    kept, total = torch.zeros_like(probs_V), 0.0
    for i in order:
        if total >= top_p:
            break
        kept[i] = probs_V[i]
        total += probs_V[i]
    return kept / kept.sum()


def nucleus__scatter(probs_V, top_p):
    values, order = torch.sort(probs_V, descending=True)
    before = torch.cat([torch.zeros(1), values.cumsum(0)[:-1]])
    values = torch.where(before < top_p, values, torch.zeros_like(values))
    return torch.zeros_like(probs_V).scatter(0, order, values / values.sum())


def greedy_text__for(next_logits, prompt, limit, stop):
    new = []
    for _ in range(limit):
        token = next_logits(prompt + new).argmax().item()
        new.append(token)
        if token == stop:
            break
    return new


def greedy_text__ids(next_logits, prompt, limit, stop):
    ids = list(prompt)
    while len(ids) - len(prompt) < limit:
        ids.append(int(torch.argmax(next_logits(ids))))
        if ids[-1] == stop:
            break
    return ids[len(prompt) :]


def beam_step__loop(scores_B, log_probs_BV, beams):
    every = [
        (float(scores_B[b] + log_probs_BV[b, v]), b, v)
        for b in range(log_probs_BV.shape[0])
        for v in range(log_probs_BV.shape[1])
    ]
    every.sort(key=lambda row: -row[0])
    return [(b, v) for _, b, v in every[:beams]]


def beam_step__divide(scores_B, log_probs_BV, beams):
    V = log_probs_BV.size(1)
    best = (scores_B.unsqueeze(1) + log_probs_BV).reshape(-1).topk(beams).indices
    return [(int(i) // V, int(i) % V) for i in best]


def min_p__mask(probs_V, share):
    kept = probs_V * (probs_V >= probs_V.max() * share)
    return kept / kept.sum()


def min_p__fill(probs_V, share):
    kept = probs_V.clone()
    kept[kept < share * kept.max()] = 0
    return kept / torch.sum(kept)


# 03
def write_think__plus(steps, answer):
    text = "<think>\n"
    for step in steps:
        text += step + "\n"
    return text + "</think>\n<answer>" + answer + "</answer>"


def write_think__lines(steps, answer):
    return "\n".join(["<think>", *steps, "</think>", "<answer>" + str(answer) + "</answer>"])


def with_labels__loop(prompt, completion, end):
    ids, labels = [], []
    for token in prompt:
        ids.append(token)
        labels.append(-100)
    for token in completion + [end]:
        ids.append(token)
        labels.append(token)
    return ids, labels


def with_labels__slice(prompt, completion, end):
    ids = [*prompt, *completion, end]
    labels = ids.copy()
    labels[: len(prompt)] = [-100] * len(prompt)
    return ids, labels


def read_think__find(text):
    text = text.strip()
    tags = ["<think>", "</think>", "<answer>", "</answer>"]
    if any(text.count(tag) != 1 for tag in tags):
        return None
    if not (text.startswith("<think>") and text.endswith("</answer>")):
        return None
    between = text[text.index("</think>") + 8 :]
    before, found, answer = between.partition("<answer>")
    if not found or before.strip():
        return None
    return answer[: -len("</answer>")].strip() or None


def read_think__split(text):
    found = re.split(r"(</?think>|</?answer>)", text.strip())
    if found[0] or found[-1] or found[1::2] != ["<think>", "</think>", "<answer>", "</answer>"]:
        return None
    _, _, between, answer, _ = found[0::2]
    return None if between.strip() or not answer.strip() else answer.strip()


def read_boxed__stack(text):
    parts = text.split("\\boxed{")
    if len(parts) == 1:
        return None
    depth, inside = 1, ""
    for letter in parts[-1]:
        if letter == "{":
            depth += 1
        elif letter == "}":
            depth -= 1
        if depth == 0:
            return inside
        inside += letter
    return None


def read_boxed__while(text):
    at = text.rfind(r"\boxed{")
    if at == -1:
        return None
    at += 7
    end, open_ = at, 1
    while end < len(text):
        open_ += {"{": 1, "}": -1}.get(text[end], 0)
        if not open_:
            return text[at:end]
        end += 1


# 04
def first_wrong__next(lines, solution):
    def value(side):
        return sum(side[n] * solution if n else side[n] for n in side)

    return next((i for i, (a, b) in enumerate(lines) if value(a) != value(b)), None)


def first_wrong__while(lines, solution):
    i = 0
    while i < len(lines):
        total = Fraction(0)
        for sign, side in zip((1, -1), lines[i]):
            for name, factor in side.items():
                total += sign * factor * (1 if name == "" else solution)
        if total:
            return i
        i += 1
    return None


def price__parts(problems, k, prompt_tokens, answer_tokens, per_in, per_out):
    requests = problems * k
    read, written = requests * prompt_tokens / 1e6, requests * answer_tokens / 1e6
    return read * per_in + written * per_out


def price__loop(problems, k, prompt_tokens, answer_tokens, per_in, per_out):
    total = 0.0
    for _ in range(problems * k):
        total += (prompt_tokens * per_in + answer_tokens * per_out) / 10**6
    return total


def still_to_ask__pop(journal, wanted):
    lines = journal.split("\n")
    done = []
    for i, line in enumerate(lines):
        if line.strip() == "":
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            if i == len(lines) - 1:
                break
            raise
        done.append(row["id"])
    return [w for w in wanted if w not in done]


def still_to_ask__split(journal, wanted):
    *whole, last = journal.split("\n")
    done = {json.loads(line)["id"] for line in whole if line}
    if last.endswith("}"):
        done.add(json.loads(last)["id"])
    left = []
    for name in wanted:
        if name not in done:
            left.append(name)
    return left


# 05
def precision_recall__loop(rejected, faulty):
    hit = alarm = miss = 0
    for r, f in zip(rejected, faulty):
        if r and f:
            hit += 1
        elif r:
            alarm += 1
        elif f:
            miss += 1
    return (hit / (hit + alarm) if hit + alarm else 1.0, hit / (hit + miss) if hit + miss else 1.0)


def precision_recall__numpy(rejected, faulty):
    r, f = np.array(rejected), np.array(faulty)
    both = (r & f).sum()
    return (float(both / r.sum()) if r.any() else 1.0, float(both / f.sum()) if f.any() else 1.0)


def foreign_line__share(text, known):
    for line in text.splitlines():
        words = [w.lower() for w in re.findall(r"[^\W\d_]{2,}", line)]
        if len(words) > 2 and len([w for w in words if w in known]) / len(words) < 0.5:
            return line
    return ""


def foreign_line__unknown(text, known):
    lines = []
    for line in text.split("\n"):
        words = re.findall(r"[^\W\d_]{2,}", line.lower())
        unknown = [w for w in words if w not in known]
        if not len(words) < 3 and len(unknown) > len(words) - len(unknown):
            lines.append(line)
    return lines[0] if lines else ""


def keep__seen(candidates, most):
    seen, kept = set(), []
    for problem, text, obeys in candidates:
        if not obeys or (problem, text) in seen:
            continue
        if sum(p == problem for p, _ in seen) >= most:
            continue
        seen.add((problem, text))
        kept.append((problem, text, obeys))
    return kept


def keep__groups(candidates, most):
    kept = []
    for c in candidates:
        if c[2]:
            same = [k for k in kept if k[0] == c[0]]
            if len(same) < most and all(k[1] != c[1] for k in same):
                kept = kept + [c]
    return kept


def pass_at_k__product(n, c, k):
    if n - c < k:
        return 1.0
    none = 1.0
    for i in range(k):
        none *= (n - c - i) / (n - i)
    return 1 - none


def pass_at_k__numpy(n, c, k):
    if n - c < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))


def majority__groups(answers, same):
    groups = []
    for a in answers:
        if a is None:
            continue
        for group in groups:
            if same(group[0], a):
                group.append(a)
                break
        else:
            groups.append([a])
    return max(groups, key=len)[0] if groups else None


def majority__best(answers, same):
    best, most = None, 0
    for a in answers:
        if a is None:
            continue
        votes = len([b for b in answers if b is not None and same(a, b)])
        if votes > most:
            best, most = a, votes
    return best


# 06
def padded__lists(pairs):
    n = max(len(q) + len(a) for q, a in pairs)
    ids = [q + a + [0] * (n - len(q) - len(a)) for q, a in pairs]
    marks = [[False] * len(q) + [True] * len(a) + [False] * (n - len(q) - len(a)) for q, a in pairs]
    return torch.tensor(ids), torch.tensor(marks)


def padded__sequence(pairs):
    pad = torch.nn.utils.rnn.pad_sequence
    ids = pad([torch.tensor(q + a) for q, a in pairs], batch_first=True)
    marks = [torch.arange(len(q) + len(a)) >= len(q) for q, a in pairs]
    return ids, pad(marks, batch_first=True)


def train__adam(student, batches, rates):
    optimizer = torch.optim.Adam([p for p in student.parameters() if p.requires_grad])
    for step, (ids, answer) in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = rates[step]
        optimizer.zero_grad()
        logits = student(ids).logits
        targets = ids[:, 1:].masked_fill(~answer[:, 1:], -100)
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), targets.flatten())
        loss.backward()
        optimizer.step()
        yield float(loss)


def train__list(student, batches, rates):
    trained = [p for p in student.parameters() if p.requires_grad]
    optimizer, found = torch.optim.AdamW(trained, lr=1.0, weight_decay=0), []
    for (ids, answer), rate in zip(batches, rates):
        optimizer.param_groups[0]["lr"] = rate
        logs = student(ids).logits[:, :-1].log_softmax(-1)
        each = -logs.gather(-1, ids[:, 1:, None]).squeeze(-1)
        marks = answer[:, 1:].float()
        loss = (each * marks).sum() / marks.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


def falling__one_loop(steps, peak):
    warm, rates = max(1, steps // 20), []
    for step in range(steps):
        if step < warm:
            rates.append(peak * (step + 1) / warm)
        else:
            done = (step - warm) / (steps - warm)
            rates.append(0.5 * peak * (1 + math.cos(math.pi * done)))
    return rates


def falling__numpy(steps, peak):
    warm = max(1, steps // 20)
    rise = peak * np.arange(1, warm + 1) / warm
    fall = peak * (np.cos(np.pi * np.arange(steps - warm) / (steps - warm)) + 1) / 2
    return np.concatenate([rise, fall]).tolist()


def lora_layer__merged(x, W, A, B, alpha):
    return x @ (W + alpha / A.shape[0] * B @ A).T


def lora_layer__linear(x, W, A, B, alpha):
    return F.linear(x, W) + F.linear(F.linear(x, A), B) * (alpha / A.size(0))


def trained_parameters__loop(shapes, r):
    total = 0
    for out, into in shapes:
        total += r * out
        total += r * into
    return total


def trained_parameters__sum(shapes, r):
    return r * sum(sum(shape) for shape in shapes)


def fixed_memory__one_line(weights, trained, bits, full):
    return 16 * weights if full else bits * weights / 8 + 16 * trained


def fixed_memory__parts(weights, trained, bits, full):
    learned = weights if full else trained
    frozen = 0 if full else weights * bits / 8
    return frozen + (4 + 4 + 8) * learned


# 07
def flips__loop(before, after):
    gained = lost = 0
    for b, a in zip(before, after):
        if a and not b:
            gained += 1
        if b and not a:
            lost += 1
    return gained, lost


def flips__count(before, after):
    pairs = list(zip(map(bool, before), map(bool, after)))
    return pairs.count((False, True)), pairs.count((True, False))


def p_value__both_tails(gained, lost):
    n = gained + lost
    if n == 0:
        return 1.0
    far = abs(gained - n / 2)
    return sum(math.comb(n, i) for i in range(n + 1) if abs(i - n / 2) >= far) / 2**n


def p_value__loop(gained, lost):
    n, tail = gained + lost, 0.0
    for i in range(min(gained, lost) + 1):
        tail += math.comb(n, i) * 0.5**n
    return min(2 * tail, 1.0)


def interval__loop(before, after, drawn):
    gains = []
    for draw in drawn:
        gains.append(sum(int(after[i]) - int(before[i]) for i in draw) / len(draw))
    return float(np.percentile(gains, 2.5)), float(np.percentile(gains, 97.5))


def interval__two_means(before, after, drawn):
    b, a = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    gains = a[drawn].mean(1) - b[drawn].mean(1)
    return tuple(np.quantile(gains, q) for q in (0.025, 0.975))


# 08
def two_texts__plus(question, rationale, label):
    first = (question + "\nResult:", "<answer>" + label + "</answer>")
    second = (question + "\nSteps:", "<think>\n" + rationale + "\n</think>")
    return [first, second]


def two_texts__format(question, rationale, label):
    texts = []
    texts.append((f"{question}\nResult:", f"<answer>{label}</answer>"))
    texts.append((f"{question}\nSteps:", f"<think>\n{rationale}\n</think>"))
    return texts


def token_weights__parts(label, rationale, alpha):
    a = alpha * (1 / label)
    b = 1 / rationale - alpha / rationale
    return (a, b)


def token_accuracy__loop(logits_LV, labels_L):
    right = n = 0
    for place in range(1, len(labels_L)):
        if labels_L[place] != -100:
            n += 1
            right += int(logits_LV[place - 1].argmax() == labels_L[place])
    return right / n


def token_accuracy__mask(logits_LV, labels_L):
    mask = labels_L[1:] >= 0
    hits = (logits_LV.max(dim=1).indices[:-1] == labels_L[1:]) & mask
    return float(hits.sum() / mask.sum())


# 09
def forward_kl__kl_div(student_NV, teacher_NV, temperature=1.0):
    q = F.log_softmax(student_NV / temperature, -1)
    p = F.log_softmax(teacher_NV.detach() / temperature, -1)
    return F.kl_div(q, p, reduction="none", log_target=True).sum(-1)


def forward_kl__parts(student_NV, teacher_NV, temperature=1.0):
    q = F.log_softmax(student_NV / temperature, -1)
    p = F.log_softmax(teacher_NV.detach() / temperature, -1)
    return (p.exp() * p).sum(1) - (p.exp() * q).sum(1)


def reverse_kl__kl_div(student_NV, teacher_NV, temperature=1.0):
    q = F.log_softmax(student_NV / temperature, -1)
    p = F.log_softmax(teacher_NV.detach() / temperature, -1)
    return F.kl_div(p, q, reduction="none", log_target=True).sum(-1)


def reverse_kl__minus(student_NV, teacher_NV, temperature=1.0):
    q = F.log_softmax(student_NV / temperature, -1)
    with torch.no_grad():
        p = F.log_softmax(teacher_NV / temperature, -1)
    return -(q.exp() * (p - q)).sum(-1)


def jsd__probabilities(student_NV, teacher_NV, temperature=1.0, beta=0.5):
    p = (teacher_NV.detach() / temperature).softmax(-1)
    q = (student_NV / temperature).softmax(-1)
    log_p = (teacher_NV.detach() / temperature).log_softmax(-1)
    log_q = (student_NV / temperature).log_softmax(-1)
    log_m = torch.logsumexp(
        torch.stack([log_p + math.log(beta), log_q + math.log(1 - beta)]), dim=0
    )
    return beta * (p * (log_p - log_m)).sum(1) + (1 - beta) * (q * (log_q - log_m)).sum(1)


def top_k_kl__mask(student_NV, ids_NK, logs_NJ):
    q = student_NV.log_softmax(-1)
    mask = torch.zeros_like(q, dtype=torch.bool).scatter(1, ids_NK, True)
    rest = q.masked_fill(mask, float("-inf")).logsumexp(1)
    inside = q.gather(1, ids_NK)
    p = logs_NJ.exp()
    first = (p[:, :-1] * (logs_NJ[:, :-1] - inside)).sum(1)
    return first + p[:, -1] * (logs_NJ[:, -1] - rest)


def learned_places__while(ids, prompt, ends):
    place, places = prompt - 1, []
    while place + 1 < len(ids):
        places.append(place)
        place += 1
        if ids[place] in ends:
            return places
    return places


def learned_places__range(ids, prompt, ends):
    found = [i for i in range(prompt, len(ids)) if ids[i] in ends]
    last = found[0] if found else len(ids) - 1
    return list(range(prompt - 1, last))


def ece__arrays(confidence, right, bins=10):
    c, r = np.array(confidence), np.array(right, dtype=float)
    box = np.minimum((c * bins).astype(int), bins - 1)
    total = 0.0
    for b in range(bins):
        inside = box == b
        if inside.any():
            total += inside.mean() * abs(c[inside].mean() - r[inside].mean())
    return float(total)


def ece__sums(confidence, right, bins=10):
    gaps = [0.0] * bins
    for c, r in zip(confidence, right):
        gaps[min(int(c * bins), bins - 1)] += c - r
    return sum(map(abs, gaps)) / len(right)


# 10
def block_influence__by_hand(hidden):
    before, after = hidden[:-1], hidden[1:]
    cos = (before * after).sum(-1) / (before.norm(dim=-1) * after.norm(dim=-1))
    return 1 - cos.mean(-1)


def block_influence__loop(hidden):
    found = []
    for i in range(len(hidden) - 1):
        found.append((1 - F.cosine_similarity(hidden[i], hidden[i + 1], dim=-1)).mean())
    return torch.stack(found)


def leave_one_out__loop(loss, layers):
    result = []
    base = loss([])
    for layer in range(layers):
        result.append(loss([layer]) - base)
    return result


def leave_one_out__each_time(loss, layers):
    return [loss([i]) - loss([]) for i in range(layers)]


def channel_importance__norm(activations_TC):
    return activations_TC.norm(p=1, dim=0) / len(activations_TC)


def channel_importance__sum(activations_TC):
    return torch.abs(activations_TC).sum(dim=0) / activations_TC.shape[0]


def mended_cut__mask(gate_CE, up_CE, down_EC, importance_C, n):
    kept = torch.zeros(len(importance_C), dtype=torch.bool)
    kept[importance_C.argsort(descending=True)[:n]] = True
    return gate_CE[kept], up_CE[kept], down_EC[:, kept]


def mended_cut__sorted(gate_CE, up_CE, down_EC, importance_C, n):
    kept = sorted(sorted(range(len(importance_C)), key=lambda c: -importance_C[c])[:n])
    return gate_CE[kept], up_CE[kept], down_EC[:, kept]


def states_gap__norms(student_NE, parent_NE):
    parent_NE = parent_NE.detach()
    return ((student_NE - parent_NE).norm(dim=-1) / parent_NE.norm(dim=-1)) ** 2


def states_gap__no_grad(student_NE, parent_NE):
    with torch.no_grad():
        size = (parent_NE**2).sum(1)
    return ((student_NE - parent_NE.detach()) ** 2).sum(1) / size


# 11
def windows__loop(n, size, overlap):
    found, first = [], 0
    while True:
        found.append((first, min(first + size, n)))
        if first + size >= n:
            return found
        first += size - overlap


def windows__until_the_end(n, size, overlap):
    step = size - overlap
    firsts = [0]
    while firsts[-1] + size < n:
        firsts.append(firsts[-1] + step)
    return [(f, f + size if f + size < n else n) for f in firsts]


def inverted__words_first(texts):
    words = {word for text in texts for word in text}
    return {word: [i for i, text in enumerate(texts) if word in text] for word in words}


def inverted__seen(texts):
    index = {}
    for i in range(len(texts)):
        for word in texts[i]:
            if word not in index:
                index[word] = []
            if i not in index[word]:
                index[word].append(i)
    return index


def bm25__text_by_text(question, texts, k1=1.5, b=0.75):
    n = len(texts)
    mean = sum(len(text) for text in texts) / n
    idf = {}
    for word in question:
        have = len([1 for text in texts if word in text])
        idf[word] = math.log(1 + (n - have + 0.5) / (have + 0.5))
    scores = []
    for text in texts:
        norm = k1 * (1 - b + b * len(text) / mean)
        score = 0
        for word in question:
            tf = text.count(word)
            score += idf[word] * tf * (k1 + 1) / (tf + norm)
        scores.append(score)
    return scores


def bm25__one_sum(question, texts, k1=1.5, b=0.75):
    average = np.mean([len(text) for text in texts])

    def rare(word):
        n = sum(word in text for text in texts)
        return np.log((len(texts) + 1) / (n + 0.5))

    def often(word, text):
        t = text.count(word)
        return t * (k1 + 1) / (t + k1 * (1 - b + b * len(text) / average))

    return [float(sum(rare(w) * often(w, text) for w in question)) for text in texts]


def mean_states__loop(states_PLE, mask_PL):
    rows = []
    for states, mask in zip(states_PLE, mask_PL):
        rows.append(states[mask == 1].mean(axis=0))
    return np.array(rows)


def mean_states__product(states_PLE, mask_PL):
    shares = mask_PL / mask_PL.sum(axis=1, keepdims=True)
    return np.einsum("pl,ple->pe", shares, states_PLE)


def nearest__unit(question_E, vectors_PE, k):
    unit = vectors_PE / np.linalg.norm(vectors_PE, axis=1, keepdims=True)
    scores = unit @ (question_E / np.linalg.norm(question_E))
    return [int(i) for i in scores.argsort()[::-1][:k]]


def nearest__sorted(question_E, vectors_PE, k):
    def cosine(i):
        v = vectors_PE[i]
        return v @ question_E / math.sqrt(v @ v)

    return sorted(range(len(vectors_PE)), key=cosine, reverse=True)[:k]


def recall_at_k__loop(found, right, k):
    good = 0
    for passages, wanted in zip(found, right):
        if any(p in wanted for p in passages[:k]):
            good += 1
    return good / len(found)


def recall_at_k__mean(found, right, k):
    return float(np.mean([len(set(f[:k]).intersection(r)) > 0 for f, r in zip(found, right)]))


def quote__translate(passages):
    harmless = str.maketrans("<>", "‹›")
    lines = []
    for i, text in enumerate(passages):
        lines += [f"<passage {i + 1}>", text.translate(harmless), f"</passage {i + 1}>"]
    return "\n".join(lines)


def quote__added(passages):
    out = ""
    for i in range(len(passages)):
        n = i + 1
        text = passages[i]
        text = text.replace("<", "‹")
        text = text.replace(">", "›")
        out = out + f"<passage {n}>\n" + text + f"\n</passage {n}>\n"
    return out[:-1]


# 12
def mended_merge__other_order(base, update, rounded):
    whole = update + base
    return rounded(whole)


def mended_merge__copy(base, update, rounded):
    merged = base.copy() if hasattr(base, "copy") else base.clone()
    merged += update
    return rounded(merged)


def quantise_q8_0__round_away(values):
    d = np.float32(np.max(np.abs(values))) / np.float32(127)
    if d == 0:
        return np.float16(0).tobytes() + bytes(32)
    x = values * (np.float32(1) / d)
    whole = np.where(x >= 0, np.floor(x + 0.5), np.ceil(x - 0.5))
    return np.array(d, dtype=np.float16).tobytes() + whole.astype(np.int8).tobytes()


def true_bits__loop(parts):
    bits = weights = 0
    for n, block, block_bytes in parts:
        bits += 8 * block_bytes * (n / block)
        weights += n
    return bits / weights


def true_bits__mean(parts):
    total = sum(p[0] for p in parts)
    return sum(n / total * (8 * size / block) for n, block, size in parts)


def mended_template__join(chat):
    turns = ["<|im_start|>" + t["role"] + "\n" + t["content"] + "<|im_end|>\n" for t in chat]
    return "".join(turns) + "<|im_start|>assistant\n"


def mended_template__format(chat):
    text = "".join("<|im_start|>{role}\n{content}<|im_end|>\n".format(**turn) for turn in chat)
    text += "<|im_start|>"
    text += "assistant\n"
    return text


def mended_fields__loop(words, end):
    fields = dict([("tokenizer.ggml.tokens", words)])
    for number, word in enumerate(words):
        if word == end:
            fields["tokenizer.ggml.eos_token_id"] = number
            break
    return fields


def mended_fields__copy(words, end):
    number = [w == end for w in words].index(True)
    return {"tokenizer.ggml.eos_token_id": number, "tokenizer.ggml.tokens": list(words)}


# 13
def to_tokens__roll(actions_BT, rewards_BT):
    tokens = (1 + 2 * actions_BT + rewards_BT).roll(1, dims=1)
    tokens[:, 0] = 0
    return tokens


def to_tokens__pad(actions_BT, rewards_BT):
    return F.pad(1 + rewards_BT + actions_BT * 2, (1, 0))[:, :-1]


def causal_mask__compare(n):
    at = torch.arange(n)
    return at[:, None] >= at[None, :]


def causal_mask__loop(n):
    mask = torch.zeros(n, n, dtype=torch.bool)
    for row in range(n):
        mask[row, : row + 1] = True
    return mask


def causal_mask__not_upper(n):
    return ~torch.triu(torch.ones(n, n), diagonal=1).bool()


def mended_pairs__narrow(actions_BT, rewards_BT):
    T = actions_BT.shape[1]
    seen = (2 * actions_BT + rewards_BT + 1).narrow(1, 0, T - 1)
    return seen, actions_BT.narrow(1, 1, T - 1)


# 14
def ddim_step__factored(z_BD, x_BD, t_B1, s_B1):
    (a, b), (a_s, b_s) = diffusion.alpha_sigma(t_B1), diffusion.alpha_sigma(s_B1)
    ratio = b_s / b
    return ratio * z_BD + (a_s - ratio * a) * x_BD


def two_step_target__solved(z_BD, t_B1, steps, teacher):
    h = 1 / steps
    z, t = z_BD, t_B1
    for _ in range(2):
        z, t = diffusion.ddim_step(z, teacher(z, t), t, t - h / 2), t - h / 2
    (a, b), (a_e, b_e) = diffusion.alpha_sigma(t_B1), diffusion.alpha_sigma(t_B1 - h)
    return (z * b - b_e * z_BD) / (a_e * b - b_e * a)


def mended_loss__by_hand(x_BD, noise_BD, t_B1, steps, student, teacher):
    alpha, sigma = diffusion.alpha_sigma(t_B1)
    z = alpha * x_BD + sigma * noise_BD
    target = two_step_target__solved(z, t_B1, steps, teacher).detach()
    weight = torch.clamp(alpha**2 / sigma**2, min=1)
    return (weight * (student(z, t_B1) - target) ** 2).sum(1).mean()
