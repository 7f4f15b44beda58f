"""Runs a plan over a prefix tree on a decoder: cached prefixes, rows of sibling sequences, masks that part them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from transformers import Cache

from llmini.measure.logits import Split
from llmini.measure.trie import Plan, Trie

ROW_PREFIX = 128  # from this many cached tokens on, rows lie side by side rather than stacked with a copy of the cache


class PrefixCache(Cache):
    """Keys and values of a cached prefix, (1, heads, length, width) a layer, seen by forwards and left as they are."""

    def __init__(self) -> None:
        super().__init__(layers=[])
        self.stored: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self.growing = False

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_: Any, **__: Any) -> tuple:
        """The prefix's keys and values followed by new ones (batch, heads, new, width); kept only while growing."""
        if layer_idx in self.stored:
            old = (part.expand(len(keys), -1, -1, -1) for part in self.stored[layer_idx])
            keys, values = (torch.cat(pair, dim=-2) for pair in zip(old, (keys, values), strict=True))
        if self.growing:
            self.stored[layer_idx] = (keys, values)
        return keys, values

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Cached tokens."""
        return self.stored[layer_idx][0].shape[-2] if layer_idx in self.stored else 0

    def copy(self) -> PrefixCache:
        """A cache that can grow while this one stays."""
        other = PrefixCache()
        other.stored = dict(self.stored)
        return other


class Forest:
    """A decoder that reads prefix trees.

    ``split``: its hidden states; ``windows``: for each of the model's layer types the number of tokens, itself
    included, that a token sees (None: all), or one entry under "" for a model that takes a single mask; ``tokens``: how
    many nodes one forward takes, which bounds memory.
    """

    def __init__(self, split: Split, windows: dict[str, int | None], tokens: int) -> None:
        self.split, self.windows, self.tokens, self.device = split, windows, tokens, split.device

    def walk(self, trie: Trie, plan: Plan, cache: PrefixCache, entries: dict[str, np.ndarray], bar: Any) -> Iterator:
        """Run a plan below its cached prefix.

        ``entries``: arrays ``sequence`` (sorted) and ``depth`` of the nodes that matter. Yields, forward by forward,
        which entries it held, the places of their nodes among its hidden states, and those states (nodes, width).
        """
        for batch in self.batches(trie, plan):
            rows = [[(low, high, *trie.lay_out(low, high, plan.depth)) for low, high in row] for row in batch]
            hidden, width = self.forward(rows, cache, plan.depth)
            picked, where = [], []
            for i, row in enumerate(rows):
                offset = i * width
                for low, high, tokens, _, _, places in row:
                    first, last = np.searchsorted(entries["sequence"], [low, high])
                    found = np.arange(first, last)[entries["depth"][first:last] >= plan.depth]
                    depths, owners = entries["depth"][found] - plan.depth, entries["sequence"][found] - low
                    where += [places[s][d] + offset for s, d in zip(owners.tolist(), depths.tolist(), strict=True)]
                    picked.append(found)
                    offset += len(tokens)
            bar.update(sum(len(unit[2]) for row in rows for unit in row))
            picked = np.concatenate(picked)
            if len(picked):
                yield picked, np.array(where, dtype=np.int64), hidden
        for low, high, inner in plan.caches:
            grown = cache.copy()
            grown.growing = True
            ids = trie.sequences[low]
            first, last = np.searchsorted(entries["sequence"], [low, high])
            for start in range(plan.depth, inner.depth, self.tokens):
                stop = min(start + self.tokens, inner.depth)
                size = stop - start
                unit = (low, high, ids[start:stop], np.arange(start, stop), np.full(size, size), None)
                hidden, _ = self.forward([[unit]], grown, start)
                depths = entries["depth"][first:last]
                inside = (depths >= start) & (depths < stop)
                if inside.any():
                    yield np.arange(first, last)[inside], depths[inside] - start, hidden
                bar.update(size)
            grown.growing = False
            yield from self.walk(trie, inner, grown, entries, bar)

    def batches(self, trie: Trie, plan: Plan) -> Iterator[list[list[tuple[int, int]]]]:
        """A plan's rows in forwards of about ``tokens`` nodes: stacked by size, or side by side below a long prefix."""
        sizes = {row: trie.nodes(*row, plan.depth) for row in plan.rows}
        rows = sorted(plan.rows, key=lambda row: -sizes[row])
        side_by_side = plan.depth >= ROW_PREFIX
        limit = max(sizes[rows[0]], self.tokens // 2) if rows and side_by_side else self.tokens
        batch: list[tuple[int, int]] = []
        used = 0
        for row in rows:
            cost = sizes[row] if side_by_side or not batch else sizes[batch[0]]
            if batch and used + cost > limit:
                yield [batch] if side_by_side else [[one] for one in batch]
                batch, used, cost = [], 0, sizes[row]
            batch.append(row)
            used += cost
        if batch:
            yield [batch] if side_by_side else [[one] for one in batch]

    def forward(self, rows: list[list[tuple]], cache: PrefixCache, depth: int) -> tuple[torch.Tensor, int]:
        """Hidden states (rows × width, d) of rows of laid-out units, each seeing the prefix and its own ancestors."""
        width = max(sum(len(unit[2]) for unit in row) for row in rows)
        ids = np.zeros((len(rows), width), dtype=np.int64)
        positions, ends = ids.copy(), np.broadcast_to(np.arange(1, width + 1), ids.shape).copy()  # padding sees itself
        for i, row in enumerate(rows):
            offset = 0
            for _, _, tokens, depths, stops, _ in row:
                place = slice(offset, offset + len(tokens))
                ids[i, place], positions[i, place], ends[i, place] = tokens, depths, stops + offset
                offset += len(tokens)
        ids, positions, ends = (torch.from_numpy(part).to(self.device) for part in (ids, positions, ends))
        at = torch.arange(width, device=self.device)
        sees = (at[None, None, :] <= at[None, :, None]) & (at[None, :, None] < ends[:, None, :])
        sees = torch.cat([sees.new_ones(len(rows), width, depth), sees], dim=2)
        from_depth = torch.cat([torch.arange(depth, device=self.device).expand(len(rows), -1), positions], dim=1)
        masks = {}
        for kind, window in self.windows.items():
            seen = sees if window is None else sees & (positions[:, :, None] - from_depth[:, None, :] < window)
            mask = torch.zeros(seen.shape, dtype=self.split.dtype, device=self.device)
            masks[kind] = mask.masked_fill_(~seen, torch.finfo(mask.dtype).min)[:, None]
        hidden = self.split.hidden(ids, attention_mask=masks.get("", masks), position_ids=positions,
                                   past_key_values=cache if depth or cache.growing else None)  # fmt: skip
        return hidden.flatten(0, 1), width
