"""A small causal transformer that foretells a learner's next pull, and plays by itself.

Dimension key: B bandits, K arms, T pulls, L places that are looked at, E width, H heads.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from distillkit.lessons.l13_algorithm.bandits import ARMS, PULLS

WIDTH, HEADS, LAYERS = 64, 4, 2
RATE = 2e-3  # the highest rate of a training
EVERY = 10  # steps from one loss that is kept to the next: reading it makes a card wait


def to_tokens(actions_BT: Tensor, rewards_BT: Tensor) -> Tensor:
    """Return what is known before each pull, (B, T): 0, then 1 + 2 · arm + reward of the last pull.

    Place t holds pull t - 1, so the pull that is to be foretold is never in sight.
    """
    pulls_BT = 1 + 2 * actions_BT + rewards_BT
    return torch.cat([torch.zeros_like(pulls_BT[:, :1]), pulls_BT[:, :-1]], 1)


def causal_mask(n: int) -> Tensor:
    """Return which place (row) may look at which (column), (n, n): itself and all before it."""
    return torch.ones(n, n, dtype=torch.bool).tril()


class Block(nn.Module):
    """Attention, then two dense layers, each added to what comes in (pre-norm)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.before_looking, self.before_thinking = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask_look_tell = nn.Linear(width, 3 * width)  # queries, keys and values
        self.join = nn.Linear(width, width)
        self.think = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x_BLE: Tensor, mask_LL: Tensor) -> Tensor:
        parts = self.ask_look_tell(self.before_looking(x_BLE)).chunk(3, -1)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        scores_BHLL = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        weights_BHLL = scores_BHLL.masked_fill(~mask_LL, -torch.inf).softmax(-1)
        seen_BLE = (weights_BHLL @ value).transpose(1, 2).flatten(-2)
        x_BLE = x_BLE + self.join(seen_BLE)
        return x_BLE + self.think(self.before_thinking(x_BLE))


class Player(nn.Module):
    """What it has seen of a bandit -> logits of the next pull.

    `context` is how many places it looks back on; `mask` makes the causal mask of n places.
    """

    def __init__(
        self, seed: int = 0, context: int = PULLS, mask: Callable[[int], Tensor] = causal_mask
    ):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.token = nn.Embedding(1 + 2 * ARMS, WIDTH)
            self.place = nn.Embedding(context, WIDTH)
            self.blocks = nn.ModuleList(Block(WIDTH, HEADS) for _ in range(LAYERS))
            self.end = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, ARMS))
        self.context = context
        self.register_buffer("mask", mask(context))

    def forward(self, tokens_BL: Tensor) -> Tensor:
        """Return the logits of the next pull at each place, (B, L, K)."""
        n = tokens_BL.shape[1]
        x_BLE = self.token(tokens_BL) + self.place.weight[:n]
        for block in self.blocks:
            x_BLE = block(x_BLE, self.mask[:n, :n])
        return self.end(x_BLE)


def imitate(
    model: Player,
    tokens_BT: Tensor,
    actions_BT: Tensor,
    steps: int,
    batch: int,
    seed: int = 0,
    on_step: Callable[[dict], None] = lambda row: None,
) -> list[float]:
    """Teach a model to foretell each pull of learning histories; return some losses on the way.

    They are those of every tenth step and of the last one.  Where the model looks back on less
    than a history, each step takes another stretch of it.
    KeyboardInterrupt ends the training and keeps what was learned.
    Source: Laskin et al. 2022 (arXiv 2210.14215), algorithm 1.
    """
    numbers = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    rates = torch.optim.lr_scheduler.LambdaLR(  # up over a tenth of the steps, then down to 0
        optimizer, lambda done: min(1.0, 10 * (done + 1) / steps) * (1 - done / steps)
    )
    losses: list[float] = []
    loss = None
    try:
        for step in range(1, steps + 1):
            rows = torch.randint(len(tokens_BT), (batch,), generator=numbers).to(tokens_BT.device)
            first = torch.randint(tokens_BT.shape[1] - model.context + 1, (), generator=numbers)
            seen = slice(int(first), int(first) + model.context)
            logits_BLK = model(tokens_BT[rows, seen])
            loss = cross_entropy(logits_BLK.flatten(0, 1), actions_BT[rows, seen].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rates.step()
            if step % EVERY == 0 or step == steps:
                losses.append(loss.item())
                loss = None
                on_step({"step": step, "steps": steps, "loss": losses[-1]})
    except KeyboardInterrupt:
        if loss is not None:  # of the last step, between two that are kept
            losses.append(loss.item())
    return losses


@torch.no_grad()
def roll_out(
    model: Player, chances_BK: Tensor, seed: int, greedy: bool = False, pulls: int = PULLS
) -> tuple[Tensor, Tensor, Tensor]:
    """Let the model play by itself; return actions and rewards (B, T), and its beliefs (B, T, K).

    Nothing is trained meanwhile: what it learns of a bandit is in what it sees.
    """
    numbers = torch.Generator(chances_BK.device).manual_seed(seed)
    rows = torch.arange(len(chances_BK), device=chances_BK.device)
    tokens_BL = torch.zeros(len(rows), 1, dtype=torch.long, device=rows.device)
    actions, rewards, beliefs = [], [], []
    for _ in range(pulls):
        belief_BK = model(tokens_BL[:, -model.context :])[:, -1].softmax(-1)
        drawn_B = torch.multinomial(belief_BK, 1, generator=numbers)[:, 0]
        action_B = belief_BK.argmax(-1) if greedy else drawn_B
        coin_B = torch.rand(len(rows), generator=numbers, device=rows.device)
        reward_B = (coin_B < chances_BK[rows, action_B]).long()
        tokens_BL = torch.cat([tokens_BL, (1 + 2 * action_B + reward_B)[:, None]], 1)
        actions.append(action_B)
        rewards.append(reward_B)
        beliefs.append(belief_BK)
    return torch.stack(actions, 1), torch.stack(rewards, 1), torch.stack(beliefs, 1)
