"""An lm-eval model that scores log-likelihoods over the prefix tree of all requests: shared text is run once.

Stock HFLM runs every (context, continuation) pair whole, and takes a log-softmax over the vocabulary at every position.
Imported where it is used: it derives from lm-eval's HFLM, which takes seconds to import.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from lm_eval.models.huggingface import HFLM
from tqdm.auto import tqdm

from llmini import settings
from llmini.measure.forest import Forest, PrefixCache
from llmini.measure.logits import Split
from llmini.measure.trie import Plan, Trie

logger = logging.getLogger(__name__)
ENCODED = 1 << 15  # characters tokenised at once
STATIC_ROPE = ("default", "linear", "llama3", "yarn", "proportional")


class TrieLM(HFLM):
    """HFLM with log-likelihoods scored over a trie. Same arguments, same answers within rounding.

    ``fallback`` is None, or why this model is served by HFLM's own scoring instead. ``tokens`` is how many tokens one
    forward takes: it bounds memory, and defaults by device.
    """

    def __init__(self, *args: Any, tokens: int | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.encoded: dict[str, list[int] | np.ndarray] = {}
        self.tokens = tokens or (512 if self.device.type == "cpu" else 8192)
        self.split: Split | None = None
        self.forest: Forest | None = None
        self.fallback = self.why_stock()
        if self.fallback:
            logger.warning("scored by lm-eval's own HFLM: %s", self.fallback)

    def why_stock(self) -> str | None:
        """What in this model the trie cannot serve exactly, if anything; the last word is a trial against a forward."""
        if self.backend != "causal":
            return "not a causal language model"
        config = self.model.config.get_text_config()
        attention = getattr(config, "_attn_implementation", None)
        if attention not in ("sdpa", "eager"):
            return f"attention implementation {attention!r} takes no mask of its own"
        if getattr(config, "attn_logit_softcapping", None) or getattr(config, "use_bidirectional_attention", None):
            return "attention scores are soft-capped or bidirectional"
        ropes = getattr(config, "rope_parameters", None) or {}
        for rope in (ropes, *(part for part in ropes.values() if isinstance(part, dict))):
            if rope.get("rope_type", "default") not in STATIC_ROPE:
                return f"{rope['rope_type']} rotary positions depend on the length of the batch"
        kinds = set(getattr(config, "layer_types", None) or ())
        if kinds - {"full_attention", "sliding_attention"}:
            return f"layers of type {', '.join(sorted(kinds - {'full_attention', 'sliding_attention'}))}"
        window = getattr(config, "sliding_window", None)
        if "sliding_attention" in kinds:
            windows = {"full_attention": None, "sliding_attention": window}
        else:  # one mask for all layers; without layer types a window holds for each of them
            windows = {"": None if kinds else window}
        self.split = Split(self.model)
        if self.split.whole:
            return self.split.whole
        self.forest = Forest(self.split, windows, self.tokens)
        heads = config.num_attention_heads
        layers = sum(part.numel() for part in self.split.decoder.parameters()) - self.split.head.weight.numel()
        keys = 2 * heads * (getattr(config, "head_dim", None) or config.hidden_size // heads)
        self.knee = max(64.0, layers / config.num_hidden_layers / keys)
        try:
            return self.trial(min(window or 0, 1100) + 24)
        except Exception as fault:  # any architecture may object to a mask or a cache of ours: then stock serves it
            return f"the model does not run over a trie ({type(fault).__name__}: {str(fault).splitlines()[0]})"

    @torch.no_grad()
    def trial(self, length: int) -> str | None:
        """Score three made-up sequences, one prefix cached, against plain forwards; None if they agree."""
        draw = np.random.default_rng(0)
        prefix = draw.integers(5, min(self.split.vocabulary, 1000), size=length).tolist()
        tails = [draw.integers(5, min(self.split.vocabulary, 1000), size=6).tolist() for _ in range(3)]
        tails[1][:3] = tails[0][:3]
        requests = [(None, prefix + tail[:2], tail[2:]) for tail in tails]
        trie = Trie([(context + tail)[:-1] for _, context, tail in requests])
        inner = Plan(length, rows=[(0, 2), (2, 3)] if trie.lcp[2] == length else [(0, 1), (1, 3)])
        got = self.run_plan(trie, Plan(0, caches=[(0, 3, inner)]), requests, disable_tqdm=True)
        worst = 0.0
        for (_, context, tail), (value, _) in zip(requests, got, strict=True):
            ids = torch.tensor([(context + tail)[:-1]], device=self.device)
            logits = self.model(input_ids=ids, use_cache=False).logits[0, -len(tail) :].float()
            expected = logits.log_softmax(-1).gather(1, torch.tensor(tail, device=logits.device)[:, None]).sum().item()
            worst = max(worst, abs(value - expected) / len(tail))
        # Half precision, and activations rounded to 8 bits, turn the last bit into a step: so do stock's batch sizes.
        rounded = self.split.dtype.itemsize < 4 or hasattr(self.model.config, "quantization_config") or any(
            getattr(module, "quantization_scheme", None) is not None for module in self.model.modules()
        )
        limit = 0.05 if rounded else 2e-4
        return None if worst <= limit else f"log-probabilities over a trie differ by {worst:.1e} a token in a trial"

    def loglikelihood(self, requests: list, disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """As HFLM, with the texts tokenised in batches: each context once, not once for every continuation."""
        pairs = [request.args for request in requests if request.args[0]]
        contexts, wholes = {context.rstrip() for context, _ in pairs}, {"".join(pair) for pair in pairs}
        marks = tuple(mark for mark in (self.tokenizer.decode(self.prefix_token_id), self.tokenizer.bos_token) if mark)
        texts = [text for text in sorted(contexts | wholes) if text and not text.startswith(marks)]
        options = {} if self.add_bos_token is None else {"add_special_tokens": self.add_bos_token}
        options |= {"verbose": False, "return_attention_mask": False}
        while texts and self.backend == "causal":
            size = max(1, ENCODED // max(map(len, texts[-256:])))  # an encoding takes a hundred times its text's memory
            part, texts = texts[-size:], texts[:-size]
            for text, ids in zip(part, self.tokenizer(part, **options)["input_ids"], strict=True):
                self.encoded[text] = ids if text in contexts else np.array(ids, dtype=np.int32)
        try:
            return super().loglikelihood(requests, disable_tqdm=disable_tqdm or settings.silent())
        finally:
            self.encoded = {}

    def generate_until(self, requests: list, disable_tqdm: bool = False) -> list[str]:
        """As HFLM, whose bar does not know of ``TQDM_DISABLE``."""
        return super().generate_until(requests, disable_tqdm=disable_tqdm or settings.silent())

    def tok_encode(self, string: str, *args: Any, **options: Any) -> list[int]:
        """As HFLM, from the batches where they hold the string."""
        if not args and not options and string in self.encoded:
            known = self.encoded[string]
            return known if isinstance(known, list) else known.tolist()
        return super().tok_encode(string, *args, **options)

    def _loglikelihood_tokens(self, requests: list, disable_tqdm: bool = False,
                              override_bs: int | None = None) -> list[tuple[float, bool]]:  # fmt: skip
        """(log-probability, is greedy) of each request ((context, continuation), context ids, continuation ids)."""
        if self.fallback or not requests:
            return super()._loglikelihood_tokens(requests, disable_tqdm=disable_tqdm, override_bs=override_bs)
        for _, context, continuation in requests:
            assert 0 < len(continuation) <= self.max_length and context  # as HFLM does
        # The last token is predicted, never read; what exceeds the context is cut on the left, as HFLM does.
        trie = Trie([(context + tail)[-(self.max_length + 1) :][:-1] for _, context, tail in requests])
        plan = trie.plan(widest=self.tokens, knee=self.knee)
        answers = self.run_plan(trie, plan, requests, disable_tqdm)
        for (texts, _, _), answer in zip(requests, answers, strict=True):
            if texts is not None:
                self.cache_hook.add_partial("loglikelihood", texts, answer)
        return answers

    @torch.no_grad()
    def run_plan(self, trie: Trie, plan: Plan, requests: list, disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Forward a plan and sum each request's scored tokens."""
        tails = [tail for _, _, tail in requests]
        counts = np.array([len(tail) for tail in tails])
        owner = np.repeat(np.arange(len(requests)), counts)
        rank = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        sequence = trie.index[owner]
        order = np.argsort(sequence, kind="stable")
        entries = {
            "owner": owner[order], "sequence": sequence[order],
            "depth": (trie.lengths[sequence] - counts[owner] + rank)[order],
            "target": np.concatenate([np.asarray(tail, dtype=np.int64) for tail in tails])[order],
        }  # fmt: skip
        values, greedy = np.zeros(len(owner)), np.zeros(len(owner), dtype=bool)
        with tqdm(total=trie.nodes(0, len(trie.sequences), 0), unit="token", desc="Scoring",
                  disable=disable_tqdm or None, leave=False) as bar:  # fmt: skip
            for picked, where, hidden in self.forest.walk(trie, plan, PrefixCache(), entries, bar):
                values[picked], greedy[picked] = self.score(hidden, where, entries["target"][picked])
        sums = np.bincount(entries["owner"], weights=values, minlength=len(requests))
        misses = np.bincount(entries["owner"], weights=~greedy, minlength=len(requests))
        return [(float(total), missed == 0) for total, missed in zip(sums, misses.tolist(), strict=True)]

    def score(self, hidden: torch.Tensor, where: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-probabilities of ``targets`` at rows ``where`` of ``hidden``, and whether each is the likeliest token."""
        nodes, slot = np.unique(where, return_inverse=True)
        values, greedy = np.empty(len(where)), np.empty(len(where), dtype=bool)
        order = np.argsort(slot, kind="stable")
        for start in range(0, len(nodes), self.split.rows):
            stop = min(start + self.split.rows, len(nodes))
            logits = self.split.logits(hidden[torch.from_numpy(nodes[start:stop]).to(hidden.device)])  # ours: a copy
            entries = order[slice(*np.searchsorted(slot[order], [start, stop]))]
            rows = torch.from_numpy(slot[entries] - start).to(logits.device)
            wanted = torch.from_numpy(targets[entries]).to(logits.device)
            picked, (top, best) = logits[rows, wanted], logits.max(1)
            mass = top + logits.sub_(top[:, None]).exp_().sum(1).log()  # in place: a vocabulary may be large
            values[entries] = (picked - mass[rows]).double().cpu().numpy()
            greedy[entries] = (best[rows] == wanted).cpu().numpy()
        return values, greedy
