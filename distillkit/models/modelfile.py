"""Ollama's Modelfile, with the chat template in Ollama's language, cut from the tokenizer's own.

Ollama takes no Jinja, but Go's text/template.  So nobody writes the template a second time: the
tokenizer renders a chat with marks in the place of the messages, and what stands between the marks
is the template.  Source: https://docs.ollama.com/modelfile
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from distillkit.models.chats import Chat, chat_text
from distillkit.models.downloads import ModelError

SYSTEM, USER, ANSWER = "qsystemq", "quserq", "qanswerq"  # marks: words of no template
PROOFS = (  # chats that must come out byte for byte as the tokenizer writes them
    [("user", "2x = 4")],
    [("system", "Solve."), ("user", "2x = 4")],
    [("system", "Löse.\nSchritt für Schritt: “√”"), ("user", "½x = −4 \U0001f600"),
     ("assistant", "<think>\nx = −4/(1/2)\n</think>\n<answer>x = −8</answer>"),
     ("user", "再来一个: 3x = 9")],
    [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"), ("user", "e")],
)  # fmt: skip


@dataclass(frozen=True)
class Turns:
    """A chat template taken apart: what stands before and after the messages of each role."""

    without_system: str  # written first if the chat has no system message
    system: tuple[str, str]
    user: tuple[str, str]
    assistant: tuple[str, str]
    opening: str  # at the end: the assistant's turn begins

    def render(self, chat: Chat) -> str:
        """Write a chat, ready for the assistant's turn."""
        text = "" if any(turn["role"] == "system" for turn in chat) else self.without_system
        for turn in chat:
            before, after = getattr(self, turn["role"])
            text += before + turn["content"] + after
        return text + self.opening

    def go_template(self) -> str:
        """Return the same in Go's language, with the names that Ollama gives the messages."""
        (s, s_end), (u, u_end), (a, a_end) = self.system, self.user, self.assistant
        alone = self.without_system
        return (
            (f"{{{{ if not .System }}}}{alone}{{{{ end }}}}" if alone else "")
            + "{{ range .Messages }}"
            f'{{{{ if eq .Role "system" }}}}{s}{{{{ .Content }}}}{s_end}'
            f'{{{{ else if eq .Role "user" }}}}{u}{{{{ .Content }}}}{u_end}'
            f"{{{{ else }}}}{a}{{{{ .Content }}}}{a_end}{{{{ end }}}}{{{{ end }}}}{self.opening}"
        )


def turns(tokenizer) -> Turns:
    """Take a tokenizer's chat template apart.

    Raises ModelError if the pieces do not write the `PROOFS` as the template does: it does more
    than to put texts between messages.
    """
    chat = _chat([("system", SYSTEM), ("user", USER), ("assistant", ANSWER), ("user", USER)])
    try:
        start, after_system, after_user, after_answer, end = _pieces(tokenizer, chat, True)
        *_, user_end = _pieces(tokenizer, chat, False)
        *_, answer_end = _pieces(tokenizer, chat[:3], False)
        alone, _ = _pieces(tokenizer, chat[1:2], True)
        user = after_answer.removeprefix(answer_end)
        found = Turns(
            alone.removesuffix(user), (start, after_system.removesuffix(user)), (user, user_end),
            (after_user.removeprefix(user_end), answer_end), end.removeprefix(user_end),
        )  # fmt: skip
        proofs = [_chat(proof) for proof in PROOFS]
        same = all(found.render(proof) == chat_text(tokenizer, proof) for proof in proofs)
    except Exception as error:  # templates are programs of others, in a sandbox
        raise ModelError(f"the chat template cannot be taken apart: {str(error)[:100]}") from error
    pieces = [found.without_system, *found.system, *found.user, *found.assistant, found.opening]
    if not same or any("{{" in piece + "{" or _quotes(piece) for piece in pieces):
        raise ModelError("the chat template does more than to put texts between messages: Ollama's "
                         "language cannot say it")  # fmt: skip
    return found


def stop_words(tokenizer, found: Turns) -> list[str]:
    """Return the texts that end an answer: the end token, and every control token of a turn."""
    written = "".join([*found.system, *found.user, *found.assistant])
    control = [token.content for token in tokenizer.added_tokens_decoder.values()
               if token.special and token.content in written]  # fmt: skip
    return list(dict.fromkeys([tokenizer.eos_token, *control]))


def modelfile(tokenizer, weights: str, system: str, max_new_tokens: int) -> str:
    """Return a Modelfile for the file `weights` beside it.

    Raises ModelError for a system message or an end token that it cannot hold, and as `turns` does.
    """
    found = turns(tokenizer)
    if _quotes(system):
        raise ModelError("the system message has quotes that would end its place in the file")
    words = stop_words(tokenizer, found)
    if odd := [word for word in words if '"' in word or word.splitlines() != [word]]:
        raise ModelError(f"the token {odd[0]!r}, which ends an answer, has quotes or the end of a "
                         "line: that would end its place in the file")  # fmt: skip
    return "\n".join([
        "# ollama create student -f Modelfile, then: ollama run student",
        f"FROM ./{weights}",
        f'TEMPLATE """{found.go_template()}"""',
        *([f'SYSTEM """{system}"""'] if system else []),
        *(f'PARAMETER stop "{word}"' for word in words),  # as they are: Ollama reads no escapes
        "PARAMETER temperature 0",
        f"PARAMETER num_predict {max_new_tokens}",
        "",
    ])  # fmt: skip


def _quotes(text: str) -> bool:
    """Say whether a text between three quotes would end them too early."""
    return '"""' in text or text.endswith('"')


def _pieces(tokenizer, chat: Chat, opened: bool) -> list[str]:
    """Render a chat of marks and return what stands around them."""
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=opened)
    pieces = []
    for turn in chat:
        piece, _, text = text.partition(turn["content"])
        pieces.append(piece)
    return [*pieces, text]


def _chat(pairs: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in pairs]
