"""Count the recorded teacher: exact answers by family, the funnel, pass@k, tokens.

    python benchmarks/count_recording.py
"""

from collections import defaultdict

from distillkit.evaluation import wilson
from distillkit.filters import judge, pass_at_k, reject
from distillkit.teachers import Recorded


def main() -> None:
    """Print a Markdown table, the funnel and pass@k."""
    teacher = Recorded()
    rows = teacher.sample(teacher.problems())
    right = defaultdict(lambda: defaultdict(list))
    for row in rows:
        verdict = judge(row)
        good = not verdict["template"] and not verdict["correct"] and not verdict["finished"]
        right[row["problem"]["family"]][row["problem"]["id"]].append(good)
    print("| family | problems | exact, % (95 % Wilson) | pass@4, % |\n|---|---|---|---|")
    for family, problems in right.items():
        flags = [flag for found in problems.values() for flag in found]
        low, high = wilson(sum(flags), len(flags))
        best = sum(pass_at_k(len(f), sum(f), 4) for f in problems.values()) / len(problems)
        print(f"| {family} | {len(problems)} | {100 * sum(flags) / len(flags):.0f} "
              f"({100 * low:.0f}–{100 * high:.0f}) | {100 * best:.0f} |")
    tokens, seconds = sum(r["tokens"] for r in rows), sum(r["seconds"] for r in rows)
    print(f"\n{len(rows)} candidates, {tokens} tokens, {seconds / 60:.0f} min of computing, "
          f"{tokens / seconds:.0f} tokens/s")
    _, funnel = reject(rows)
    print(funnel)
    print(f"{funnel.problems_kept} of {funnel.problems} problems have a verified solution")


if __name__ == "__main__":
    main()
