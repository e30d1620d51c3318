"""The exercises on shipping: a block of 8 bits, true bits a weight, and three bugs to mend."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import gguf
import numpy as np

from distillkit.models.gguf_writer import KINDS, encoded
from distillkit.teaching.exercise import Exercise, Mistake, hint  # noqa: F401 (checks.hint)

# --- a block of 32 weights in 8 bits --------------------------------------------------------------


def _quantise_q8_0(values: np.ndarray) -> bytes:
    """Return the 34 bytes of a block of 32 float32 weights, by the library that writes files."""
    return encoded(values[None], KINDS["q8_0"]).tobytes()


def _blocks() -> list[tuple[np.ndarray]]:
    """Return blocks whose largest weight is positive, negative, tiny, or 0; one with halves."""
    numbers = np.random.default_rng(12)
    plain, small, large = (numbers.normal(0, s, 32).astype(np.float32) for s in (0.05, 1e-4, 3.0))
    plain[7], large[20] = -0.25, 11.0
    halves = np.zeros(32, np.float32)
    halves[:4] = 127, 0.5, 2.5, -4.5
    return [(plain,), (large,), (small,), (np.zeros(32, np.float32),), (halves,)]


def _wrong_block(
    far: Callable[[np.ndarray], np.float32] = lambda values: np.abs(values).max(),
    scale: Callable[[np.float32], np.float32] = lambda far: far / np.float32(127),
    steps: Callable[[np.ndarray, np.float32], np.ndarray] = lambda w, d: (
        w * (np.float32(1) / d if d else d)
    ),
    whole: Callable[[np.ndarray], np.ndarray] = lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
    joined: Callable[[np.float32, bytes], bytes] = lambda d, steps: np.float16(d).tobytes() + steps,
) -> Callable[[np.ndarray], bytes]:
    """Make blocks of which one step of the recipe is another."""

    def wrong(values: np.ndarray) -> bytes:
        d = scale(far(values))
        numbers = np.asarray(whole(steps(values, d))).astype(np.int64).astype(np.int8)
        return joined(d, numbers.tobytes())

    return wrong


quantise_q8_0 = Exercise(
    "quantise_q8_0",
    reference=_quantise_q8_0,
    probes=_blocks,
    hints=(
        "Which weight of the block must become 127 or -127?",
        "The scale d is max|w| / 127. Each weight is w · (1/d), rounded to the next whole number. "
        "Then d as np.float16 and the numbers as np.int8, each with .tobytes(). Mind d = 0.",
        "d = np.abs(values).max() / np.float32(127)",
    ),
    mistakes=[
        Mistake("the scale comes from the largest weight, but the farthest from zero may be a "
                "negative one: take the absolute values", _wrong_block(far=np.max)),
        Mistake("divided by 128, the farthest weight becomes 128, and int8 ends at 127: it turns "
                "into -128", _wrong_block(scale=lambda far: far / np.float32(128))),
        Mistake("255 is for numbers without a sign: a signed byte goes to 127",
                _wrong_block(scale=lambda far: far / np.float32(255))),
        Mistake("the fraction is cut off: round to the nearest whole number (add 0.5 to |x| before "
                "rounding down), or every weight shrinks towards 0", _wrong_block(whole=np.trunc)),
        Mistake("floor rounds down: the nearest whole number is meant, or all weights move in one "
                "direction", _wrong_block(whole=np.floor)),
        Mistake("the scale has 4 bytes, so a block has 36: it is kept as np.float16",
                _wrong_block(joined=lambda d, steps: d.tobytes() + steps)),
        Mistake("the scale is missing: nobody could read the 32 numbers back",
                _wrong_block(joined=lambda d, steps: steps)),
        Mistake("the scale stands behind the numbers: in the file it comes first",
                _wrong_block(joined=lambda d, steps: steps + np.float16(d).tobytes())),
        Mistake("a block of zeros has the scale 0, and nothing can be divided by it: its numbers "
                "are 0", _wrong_block(steps=lambda w, d: w * (1 / float(d)))),
        Mistake("the weights are divided by the scale as rounded to 16 bits: llama.cpp divides "
                "first and rounds the scale afterwards, so some numbers differ by one",
                _wrong_block(scale=lambda far: np.float32(np.float16(far / np.float32(127))))),
    ],
    slips=[
        *(Mistake(words, _wrong_block(scale=scale)) for words, scale in {
            "the farthest weight is multiplied by 127: the scale is max|w| / 127":
                lambda far: far * np.float32(127),
            "127 is divided by the farthest weight: the scale is max|w| / 127":
                lambda far: np.float32(127) / far if far else np.float32(0),
            "the farthest weight is not divided by 127: it shall become 127 or -127":
                lambda far: far,
            "the scale is 127 whatever the weights are: it is max|w| / 127":
                lambda far: np.float32(127),
            "126 steps: a signed byte goes to 127": lambda far: far / np.float32(126),
        }.items()),
        Mistake("the weight nearest to zero makes the scale: take the farthest one",
                _wrong_block(far=lambda values: np.abs(values).min())),
        *(Mistake(words, _wrong_block(steps=steps)) for words, steps in {
            "the weights are multiplied by the scale: divide them by it":
                lambda w, d: w * d,
            "the weights are not divided by the scale": lambda w, d: w,
            "the scale is divided by the weights: divide the weights by it":
                lambda w, d: np.divide(d, w, out=np.zeros_like(w), where=w != 0),
            "the weights are divided twice as far: 1 / d, not 2 / d":
                lambda w, d: w * (np.float32(2) / d if d else d),
            "the weights themselves are missing in the numbers: each is w / d":
                lambda w, d: np.float32(1) / d if d else d,
        }.items()),
        *(Mistake(words, _wrong_block(whole=whole)) for words, whole in {
            "the sign is lost: round |x| and give it its sign back":
                lambda x: np.floor(np.abs(x) + 0.5),
            "only the sign is left of each number": np.sign,
            "0.5 is subtracted before rounding down: add it":
                lambda x: np.sign(x) * np.floor(np.abs(x) - 0.5),
            "all the numbers of the block are 0": lambda x: 0 * x,
            "it rounds up: the nearest whole number is meant":
                lambda x: np.sign(x) * np.ceil(np.abs(x)),
            "halves go to the even number here: llama.cpp rounds them away from 0":
                np.round,
        }.items()),
        Mistake("the numbers are missing: this is the scale alone",
                _wrong_block(joined=lambda d, steps: np.float16(d).tobytes())),
    ],
)  # fmt: skip

# --- true bits a weight ---------------------------------------------------------------------------

Part = tuple[int, int, int]  # weights of a tensor, weights in a block, bytes of a block


def _true_bits(parts: Sequence[Part]) -> float:
    return 8 * sum(n // block * size for n, block, size in parts) / sum(n for n, *_ in parts)


def _wrong_bits(kind: str) -> Callable[[Sequence[Part]], float]:
    def wrong(parts: Sequence[Part]) -> float:
        each = [8 * size / block for _, block, size in parts]
        n = sum(weights for weights, *_ in parts)
        return {
            "mean of kinds": sum(each) / len(each),
            "bytes": _true_bits(parts) / 8,
            "smallest": min(each),
            "largest tensor": max(zip([weights for weights, *_ in parts], each))[1],
            "no blocks": 8 * sum(weights * size for weights, _, size in parts) / n,
            "blocks": 8 * sum(weights // block * size for weights, block, size in parts)
            / sum(weights // block for weights, block, _ in parts),
        }[kind]  # fmt: skip

    return wrong


true_bits = Exercise(
    "true_bits",
    reference=_true_bits,
    probes=[
        ([(64, 32, 34)],),
        ([(4096, 32, 18), (1024, 32, 34), (8, 1, 4)],),
        ([(512, 256, 144), (896, 32, 22), (2048, 32, 34)],),
    ],
    hints=(
        "How many bytes does a tensor of 64 weights take in blocks of 32 weights and 34 bytes?",
        "Add up the bytes of all tensors and the weights of all tensors; divide once, at the end.",
        "size = sum(n // block * block_bytes for n, block, block_bytes in parts)",
    ),
    mistakes=[
        Mistake("every tensor counts the same here: a tensor of a million weights weighs more than "
                "one of eight", _wrong_bits("mean of kinds")),
        Mistake("these are bytes a weight: a byte has 8 bits", _wrong_bits("bytes")),
        Mistake("this is the kind with the fewest bits, which is what the file's name says",
                _wrong_bits("smallest")),
        Mistake("this is the largest tensor alone: all of them are in the file",
                _wrong_bits("largest tensor")),
        Mistake("the bytes are those of a block, not of a weight: divide the weights by the size "
                "of a block first", _wrong_bits("no blocks")),
        Mistake("divided by the number of blocks: bits a *weight* are asked for",
                _wrong_bits("blocks")),
    ],
)  # fmt: skip

# --- find the bug ---------------------------------------------------------------------------------

OPEN, END = "<|im_start|>", "<|im_end|>"
Turn = dict[str, str]


def _mended_template(chat: Sequence[Turn]) -> str:
    turns = [f"{OPEN}{turn['role']}\n{turn['content']}{END}\n" for turn in chat]
    return "".join(turns) + f"{OPEN}assistant\n"


def _wrong_template(kind: str) -> Callable[[Sequence[Turn]], str]:
    def wrong(chat: Sequence[Turn]) -> str:
        end = {"published": "\n", "no end": "\n", "no line": END, "before the line": f"\n{END}",
               "other end": "<|endoftext|>\n"}.get(kind, f"{END}\n")  # fmt: skip
        text = "".join(
            f"{OPEN}{turn['role']}\n"
            + (turn["content"].strip() if kind == "stripped" else turn["content"])
            + ("\n" if kind == "only system" and turn["role"] != "system" else end)
            for turn in chat
        )
        last = {"published": "", "no opening": "", "closed": f"{OPEN}assistant\n{END}\n"}
        return text + last.get(kind, f"{OPEN}assistant\n")

    return wrong


def _chat(*pairs: tuple[str, str]) -> list[Turn]:
    return [{"role": role, "content": content} for role, content in pairs]


mended_template = Exercise(
    "mended_template",
    reference=_mended_template,
    probes=[
        (_chat(("system", "Solve."), ("user", "2x = 4")),),
        (_chat(("user", "½x = 1"), ("assistant", "x = 2"), ("user", "thanks")),),
        (_chat(("user", "  2x = 4\n")),),
    ],
    hints=(
        "How does the model know that a turn is over?",
        "Behind the content of every turn stands the end token, then a line end. The answer's "
        "turn is only opened.",
        'text += f"<|im_start|>{turn[\'role\']}\\n{turn[\'content\']}<|im_end|>\\n"',
    ),
    mistakes=[
        Mistake("the end token is still missing, and the assistant's turn is not opened",
                _wrong_template("published")),
        Mistake("the end token is still missing: nothing says where a turn ends",
                _wrong_template("no end")),
        Mistake("the line end behind the end token is missing: the training had one, and one "
                "token more or less is another prompt", _wrong_template("no line")),
        Mistake("there is a line end before the end token: the training had none there",
                _wrong_template("before the line")),
        Mistake("only the system's turn is closed", _wrong_template("only system")),
        Mistake("<|endoftext|> ends documents; a turn ends with <|im_end|>",
                _wrong_template("other end")),
        Mistake("the assistant's turn is not opened: the model would go on with the user's",
                _wrong_template("no opening")),
        Mistake("the assistant's turn is opened and closed again: there is nothing left to say",
                _wrong_template("closed")),
        Mistake("blanks and line ends at the ends of a content are cut off: the training kept them",
                _wrong_template("stripped")),
    ],
)  # fmt: skip


Rounded = Callable[[np.ndarray], np.ndarray]


def _in_steps(n: int) -> Rounded:
    """Round rows to n steps on each side of 0, as wide as the row's largest value needs."""

    def rounded(values: np.ndarray) -> np.ndarray:
        step = np.abs(values).max(-1, keepdims=True) / n
        return step * np.round(values / step)

    return rounded


def _mended_merge(base: np.ndarray, update: np.ndarray, rounded: Rounded) -> np.ndarray:
    return rounded(base + update)


def _wrong_merge(kind: str) -> Callable[[np.ndarray, np.ndarray, Rounded], np.ndarray]:
    def wrong(base: np.ndarray, update: np.ndarray, rounded: Rounded) -> np.ndarray:
        return {
            "published": lambda: rounded(rounded(base) + update),
            "never": lambda: base + update,
            "base only": lambda: rounded(base) + update,
            "apart": lambda: rounded(base) + rounded(update),
            "update only": lambda: base + rounded(update),
            "twice": lambda: rounded(rounded(base + update) + update),
        }[kind]()

    return wrong


def _merges() -> list[tuple[np.ndarray, np.ndarray, Rounded]]:
    numbers = np.random.default_rng(3)
    shapes = [numbers.normal(0, 1, (2, 4, 6)).astype(np.float32) for _ in "ab"]
    return [(base, 0.3 * update, way)
            for (base, update), way in zip(shapes, (_in_steps(3), _in_steps(7)))]  # fmt: skip


mended_merge = Exercise(
    "mended_merge",
    reference=_mended_merge,
    probes=_merges,
    hints=(
        "How often is a weight rounded here, and which of the two roundings meets the update "
        "alone with a coarse grid?",
        "Add the update to the base as it was before any rounding; round the sum, once.",
        "return rounded(base + update)",
    ),
    mistakes=[
        Mistake("the base is still rounded before the update comes: an update smaller than half a "
                "step is then rounded away", _wrong_merge("published")),
        Mistake("nothing is rounded: the file holds only rounded weights", _wrong_merge("never")),
        Mistake("the sum is not rounded: the file could not hold it", _wrong_merge("base only")),
        Mistake("base and update are rounded apart: the update is far smaller than a step and "
                "mostly becomes 0", _wrong_merge("apart")),
        Mistake("the update is rounded and the base is not: the sum is what the file holds",
                _wrong_merge("update only")),
        Mistake("the update is added twice", _wrong_merge("twice")),
    ],
)  # fmt: skip

TOKENS, EOS = "tokenizer.ggml.tokens", "tokenizer.ggml.eos_token_id"


def _mended_fields(words: list[str], end: str) -> dict[str, object]:
    return {TOKENS: words, EOS: words.index(end)}


def _wrong_fields(kind: str) -> Callable[[list[str], str], dict[str, object]]:
    def wrong(words: list[str], end: str) -> dict[str, object]:
        fields = _mended_fields(words, end)
        return {
            "published": {TOKENS: words},
            "the word": {TOKENS: words, EOS: end},
            "padding": {TOKENS: words, EOS: words.index("<|endoftext|>")},
            "last": {TOKENS: words, EOS: len(words) - 1},
            "from one": {TOKENS: words, EOS: fields[EOS] + 1},
            "a list": {TOKENS: words, EOS: [fields[EOS]]},
        }[kind]

    return wrong


mended_fields = Exercise(
    "mended_fields",
    reference=_mended_fields,
    probes=[
        (["a", "b", "<|endoftext|>", OPEN, END, "<|pad|>"], END),
        (["<|endoftext|>", "<s>", "</s>", "x", "y"], "</s>"),
        (["x", "y", "</s>"], "</s>"),
    ],
    hints=(
        "What does a reader of the file have to know, so that it stops?",
        f"One more field: {EOS}, the place of `end` in the list of words.",
        f'return {{"{TOKENS}": words, "{EOS}": words.index(end)}}',
    ),
    mistakes=[
        Mistake("the end token is still missing: a reader of the file must guess it",
                _wrong_fields("published")),
        Mistake("the field holds a number, the token's place in the list, not its text",
                _wrong_fields("the word")),
        Mistake("this is <|endoftext|>: it ends documents and fills up rows, but the student ends "
                "its answers with another token", _wrong_fields("padding")),
        Mistake("this is the last token of the list: look for `end`", _wrong_fields("last")),
        Mistake("tokens are counted from 0", _wrong_fields("from one")),
        Mistake("the field holds one number, not a list", _wrong_fields("a list")),
    ],
)  # fmt: skip

assert gguf.Keys.Tokenizer.LIST == TOKENS and gguf.Keys.Tokenizer.EOS_ID == EOS
