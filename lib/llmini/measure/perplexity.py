"""Perplexity over fixed windows, and bits per byte, which models with different tokenizers can be compared by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmini.settings import UserError, progress

if TYPE_CHECKING:
    import torch

BATCH_TOKENS = 4096  # tokens forwarded at once


def perplexity(model: Any, tokenizer: Any, text_or_docs: str | Sequence[str], *, window: int,
               first_only: bool = False) -> dict[str, Any]:  # fmt: skip
    """Perplexity of a text: documents joined by blank lines, tokenised once, non-overlapping windows, tail dropped.

    ``window`` counts the tokens a forward sees, BOS included. Every window starts with BOS if and only if the tokenizer
    itself adds one (``bos`` in the result says which): a Gemma without it is lost, and the literature's single BOS at
    the head of the text differs by the windows after the first. The ``window - 1`` predictions of a window weigh the
    same. ``first_only`` scores the first window alone, which is what the original study's script computed.
    Returns perplexity and its standard error (delta method over windows; None for one window), nll in nats a token,
    tokens (predicted), windows and bos. Protocol: Frantar et al. (2023), GPTQ, for WikiText-2.
    Raises UserError when the text fills no window or the window exceeds the model's context.
    """
    import torch

    from llmini.measure.logits import Split, token_nll

    if window < 2:
        raise UserError(f"a perplexity window needs at least 2 tokens, not {window}")
    limit = context_length(model)
    if limit and window > limit:
        raise UserError(f"a window of {window} tokens exceeds the model's context of {limit}: ask for a shorter one")
    text = text_or_docs if isinstance(text_or_docs, str) else "\n\n".join(text_or_docs)
    ids = windows(tokenizer, text, window)[: 1 if first_only else None]
    count, head = len(ids), bos_ids(tokenizer)
    split, means = Split(model), []
    step = max(1, BATCH_TOKENS // window)
    for start in progress(range(0, count, step), desc="perplexity", leave=False):
        means += token_nll(split, ids[start : start + step]).double().mean(1).tolist()
    nll = math.fsum(means) / count
    value = math.exp(nll) if nll < 700 else math.inf
    spread = torch.tensor(means, dtype=torch.float64).std().item() if count > 1 else None
    return {"perplexity": value, "stderr": None if spread is None else value * spread / math.sqrt(count), "nll": nll,
            "tokens": count * (window - 1), "windows": count,
            "bos": "every window" if head else "none"}  # fmt: skip


def windows(tokenizer: Any, text: str, window: int) -> torch.Tensor:
    """Token ids (windows, window) of a text, each after the tokenizer's BOS if it has one; the tail is dropped.

    Raises UserError when the text fills no window.
    """
    import torch

    head = bos_ids(tokenizer)
    stream = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    fresh = window - len(head)
    count = len(stream) // fresh
    if not count:
        raise UserError(f"the text holds {len(stream)} tokens, fewer than one window of {window}: give more text")
    return torch.tensor([head + stream[i * fresh : (i + 1) * fresh] for i in range(count)])


def bits_per_byte(model: Any, tokenizer: Any, sentences: Sequence[str]) -> dict[str, Any]:
    """Bits a model needs for one UTF-8 byte of the sentences: their total NLL in bits / their total bytes.

    Each sentence is scored alone, from its first token, after the tokenizer's BOS (or EOS where there is none, as
    lm-eval does). Returns bits_per_byte, its stderr (ratio estimate over sentences), nll (nats), bytes, tokens,
    sentences and prefix (the token put before each). Raises UserError for no text or a sentence beyond the context.
    """
    import torch

    from llmini.measure.logits import Split, token_nll

    sentences = [sentence for sentence in sentences if sentence]
    if not sentences:
        raise UserError("bits per byte needs at least one sentence that is not empty")
    prefix = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if prefix is None:
        raise UserError("the tokenizer has neither a BOS nor an EOS token to start a sentence with")
    encoded = [[prefix, *ids] for ids in tokenizer(list(sentences), add_special_tokens=False)["input_ids"]]
    longest, limit = max(map(len, encoded)), context_length(model)
    if limit and longest > limit:
        raise UserError(f"a sentence of {longest} tokens exceeds the model's context of {limit}: split it")
    split = Split(model)
    nll = torch.zeros(len(sentences), dtype=torch.float64)
    order = sorted(range(len(sentences)), key=lambda i: len(encoded[i]))  # like lengths together: little padding
    while order:
        step = max(1, BATCH_TOKENS // len(encoded[order[-1]]))
        batch, order = order[-step:], order[:-step]
        width = max(len(encoded[i]) for i in batch)
        ids = torch.tensor([encoded[i] + [prefix] * (width - len(encoded[i])) for i in batch])
        seen = torch.tensor([[1] * len(encoded[i]) + [0] * (width - len(encoded[i])) for i in batch])
        nll[batch] = (token_nll(split, ids, seen).double() * seen[:, 1:]).sum(1)
    sizes = torch.tensor([len(sentence.encode("utf8")) for sentence in sentences], dtype=torch.float64)
    rate = (nll.sum() / sizes.sum()).item()
    n, residual = len(sentences), nll - rate * sizes
    stderr = residual.square().sum().div(n - 1).sqrt().div(sizes.mean() * math.sqrt(n)).item() if n > 1 else None
    return {"bits_per_byte": rate / math.log(2), "stderr": None if stderr is None else stderr / math.log(2),
            "nll": nll.sum().item(), "bytes": int(sizes.sum()), "tokens": sum(map(len, encoded)) - n, "sentences": n,
            "prefix": tokenizer.convert_ids_to_tokens(prefix)}  # fmt: skip


def bos_ids(tokenizer: Any) -> list[int]:
    """``[BOS]`` if the tokenizer puts it before a text of its own accord, else ``[]``."""
    ids = tokenizer("a")["input_ids"]
    bos = tokenizer.bos_token_id
    return [bos] if bos is not None and ids[:1] == [bos] else []


def context_length(model: Any) -> int | None:
    """The longest input the model was made for, in tokens; None where its configuration does not say."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)
