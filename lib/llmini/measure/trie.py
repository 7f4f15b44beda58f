"""Token sequences as a prefix tree, and the cheapest way to run a decoder over it: which prefixes to cache, what to
forward together. NumPy alone; :mod:`llmini.measure.scorer` runs the plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

CACHE_OVERHEAD = 256  # what one more cached prefix costs besides its own tokens, in tokens: a forward, smaller batches
CACHE_MINIMUM = 16  # tokens; a shorter prefix is run again rather than cached


@dataclass
class Plan:
    """What to do below ``depth`` tokens that are cached: forward ``rows``, then enter each of ``caches``.

    A row is a range [low, high) of sorted sequences whose new nodes are forwarded together; a cache is (low, high,
    plan): sequences whose first ``plan.depth`` tokens are the same and worth keeping.
    """

    depth: int
    cost: float = 0.0
    rows: list[tuple[int, int]] = field(default_factory=list)
    caches: list[tuple[int, int, Plan]] = field(default_factory=list)


class Trie:
    """The prefix tree of token sequences: ``sequences`` unique and sorted, ``index[i]`` where input i is among them,
    ``lcp[i]`` how many tokens sequence i shares with sequence i - 1."""

    def __init__(self, inputs: Sequence[Sequence[int]]) -> None:
        keys = [np.asarray(ids, dtype=">u4").tobytes() for ids in inputs]  # big-endian bytes sort as tokens do
        unique = sorted(set(keys))
        place = {key: i for i, key in enumerate(unique)}
        self.index = np.array([place[key] for key in keys], dtype=np.int64)
        self.sequences = [np.frombuffer(key, dtype=">u4").astype(np.int64) for key in unique]
        self.lengths = np.array([len(ids) for ids in self.sequences], dtype=np.int64)
        self.lcp = np.zeros(len(unique), dtype=np.int64)
        for i in range(1, len(unique)):
            a, b = self.sequences[i - 1], self.sequences[i]
            size = min(len(a), len(b))
            differ = a[:size] != b[:size]
            self.lcp[i] = differ.argmax() if differ.any() else size
        self.fresh = np.concatenate([[0], np.cumsum(self.lengths - self.lcp)])

    def nodes(self, low: int, high: int, depth: int) -> int:
        """How many nodes sequences [low, high), which share their first ``depth`` tokens, have below those."""
        return int(self.fresh[high] - self.fresh[low + 1] + self.lengths[low] - depth)

    def branches(self) -> list[tuple[int, int, int, list[int]]]:
        """Branching nodes and leaves in preorder: (low, high, tokens shared by [low, high), places of its children)."""
        found: list[tuple[int, int, int, list[int]]] = []
        waiting = [(0, len(self.sequences), -1)]
        while waiting:
            low, high, parent = waiting.pop()
            if parent >= 0:
                found[parent][3].append(len(found))
            inner = self.lcp[low + 1 : high]
            shared = int(inner.min()) if high - low > 1 else int(self.lengths[low])
            found.append((low, high, shared, []))
            if high - low > 1:
                cuts = [low, *(np.flatnonzero(inner == shared) + low + 1).tolist(), high]
                place = len(found) - 1
                waiting += [(a, b, place) for a, b in zip(cuts[-2::-1], cuts[:0:-1], strict=True)]
        return found

    def plan(self, *, widest: int, knee: float) -> Plan:
        """The cheapest plan whose rows have at most ``widest`` nodes.

        Cost is in decoder tokens; a token that attends over a row of n nodes and p cached ones costs 1 + (n + p)/knee,
        ``knee`` being the number of keys at which attention costs as much as the rest of a layer.
        """
        tree = self.branches()
        stop = list(range(1, len(tree) + 1))  # where the subtree of each entry ends, in preorder
        for place in reversed(range(len(tree))):
            for child in tree[place][3]:
                stop[place] = max(stop[place], stop[child])

        known: dict[int, Plan] = {}  # of an entry below its parent's whole prefix, the only way a cache is entered

        def below(children: list[int], shared: int) -> Plan:
            joined = Plan(shared)
            for child in children:
                if child not in known:
                    known[child] = best(child, shared)
                joined.cost += known[child].cost
                joined.rows += known[child].rows
                joined.caches += known[child].caches
            return joined

        def best(root: int, depth: int) -> Plan:
            options: dict[int, tuple[float, str, Plan | None]] = {}
            for place in reversed(range(root, stop[root])):
                low, high, shared, children = tree[place]
                size = self.nodes(low, high, depth)
                whole = size * (1 + (size + depth) / knee) if size <= widest else np.inf
                split = sum(options[child][0] for child in children) if children else np.inf
                choice = (whole, "row", None) if whole <= split else (split, "split", None)
                if not children and size > widest:  # one sequence too long for a row: all but its last token is cached
                    inner = Plan(shared - 1, 1.0, [(low, high)])
                    choice = (self.chain(depth, shared - 1, knee) + 1, "cache", inner)
                elif children and shared - depth >= CACHE_MINIMUM and choice[0] > self.chain(depth, shared, knee):
                    inner = below(children, shared)
                    cost = self.chain(depth, shared, knee) + inner.cost
                    if cost < choice[0]:
                        choice = (cost, "cache", inner)
                options[place] = choice
            result, waiting = Plan(depth, options[root][0]), [root]
            while waiting:
                place = waiting.pop()
                low, high, _, children = tree[place]
                _, kind, inner = options[place]
                if kind == "split":
                    waiting += children[::-1]
                elif kind == "cache":
                    result.caches.append((low, high, inner))
                elif self.nodes(low, high, depth):  # nothing is left of a sequence that is the cached prefix itself
                    result.rows.append((low, high))
            return result

        return best(0, 0) if tree and self.sequences else Plan(0)

    @staticmethod
    def chain(start: int, stop: int, knee: float) -> float:
        """What it costs to cache tokens [start, stop) of a prefix."""
        return CACHE_OVERHEAD + (stop - start) * (1 + stop / knee)

    def lay_out(self, low: int, high: int, depth: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray]]:
        """New nodes of sequences [low, high) below ``depth``, in depth-first order.

        Returns tokens (n,), depths (n,), ends (n,): node j's descendants are the nodes j … ends[j] - 1, so node i sees
        node j if and only if j <= i < ends[j]; and for each sequence the places (length - depth,) of its nodes.
        """
        size = self.nodes(low, high, depth)
        tokens, depths = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
        ends = np.full(size, size, dtype=np.int64)
        path, places, count, last = np.empty(0, dtype=np.int64), [], 0, depth
        for i in range(low, high):
            start = max(depth, int(self.lcp[i])) if i > low else depth
            ids = self.sequences[i]
            new = len(ids) - start
            ends[path[start - depth : last - depth]] = count
            path = np.concatenate([path[: start - depth], np.arange(count, count + new)])
            tokens[count : count + new], depths[count : count + new] = ids[start:], np.arange(start, len(ids))
            places.append(path)
            count, last = count + new, len(ids)
        return tokens, depths, ends, places
