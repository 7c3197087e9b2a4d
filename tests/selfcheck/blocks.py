"""What `same` costs for a transformer, right and wrong: CPU seconds by the number of blocks.

usage: python -m tests.selfcheck.blocks [N ...]

The wrong one lacks the second residual of its middle block.
"""

from __future__ import annotations

import argparse
from time import process_time

import torch
from torch import Tensor, nn

from nnet_parity import check, same

WIDTH, HEADS, WORDS = 64, 4, 50
DATA = (4, 32)  # sequences, words


class Block(nn.Module):
    """Attention and two dense layers, each behind a norm and beside a residual."""

    def __init__(self, has_residual: bool) -> None:
        super().__init__()
        self.has_residual = has_residual
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(self.norm1(x)).chunk(3, -1)
        q, k, v = (each.unflatten(-1, (HEADS, -1)).transpose(1, 2) for each in parts)
        shares = (q @ k.mT / (WIDTH // HEADS) ** 0.5).softmax(-1)
        x = x + self.out((shares @ v).transpose(1, 2).flatten(2))
        y = self.down(nn.functional.gelu(self.up(self.norm2(x))))
        return x + y if self.has_residual else y


class Transformer(nn.Module):
    """Blocks between an embedding and a head; the block `wrong` lacks a residual."""

    def __init__(self, blocks: int, wrong: int = -1) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, WIDTH)
        self.blocks = nn.ModuleList([Block(number != wrong) for number in range(blocks)])
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WORDS)

    def forward(self, words: Tensor) -> Tensor:
        x = self.embedding(words)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def measure(blocks: int, wrong: int = -1) -> tuple[float, str]:
    """Return the CPU seconds of a comparison, and what it says."""
    torch.manual_seed(0)
    model, reference = Transformer(blocks, wrong), Transformer(blocks)
    words = torch.randint(0, WORDS, DATA)
    began = process_time()
    result = check(same(model, reference, data=words))
    return process_time() - began, str(result)


def main() -> None:
    """Print a line for each number of blocks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("blocks", nargs="*", type=int, default=[1, 2, 4, 6], metavar="N")
    torch.set_num_threads(1)
    for blocks in parser.parse_args().blocks:
        right, _ = measure(blocks)
        wrong, said = measure(blocks, blocks // 2)
        named = f"counterpart: add in blocks.{blocks // 2} (" in said
        print(f"{blocks} blocks: right {right:.1f} CPU-s, wrong {wrong:.1f}, named: {named}")


if __name__ == "__main__":
    main()
