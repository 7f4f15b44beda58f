"""Hidden states first, logits in chunks: memory stays bounded at a vocabulary of 262,144."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

LOGITS = 1 << 24  # logits held at once in fp32: 64 MB
RESCALERS = ("final_logit_softcapping", "logit_scale", "logits_scaling", "lm_head_multiplier", "output_multiplier")


class Split:
    """A causal language model as ``hidden`` (the decoder) and ``logits`` (its output embedding), applied apart.

    ``whole`` is None, or the reason why this model is not taken apart; then ``hidden`` gives logits already and
    ``logits`` only converts them, so callers are the same for both.
    """

    def __init__(self, model: Any) -> None:
        import torch

        inner = model.get_base_model() if hasattr(model, "get_base_model") else model  # PEFT adapts layers in place
        self.model, self.decoder, self.head = inner, inner.base_model, inner.get_output_embeddings()
        self.device, self.dtype = inner.device, inner.dtype
        config = inner.config.get_text_config()
        self.vocabulary = self.head.weight.shape[0] if hasattr(self.head, "weight") else config.vocab_size
        scale = next((name for name in RESCALERS if getattr(config, name, None) not in (None, 1, 1.0)), None)
        self.whole = None
        if self.head is None or self.decoder is inner:
            self.whole = "no separate decoder and output embedding"
        elif scale:
            self.whole = f"the model rescales its logits ({scale})"
        # One whole forward before any part: it sets off the decompression of a packed checkpoint, and is the reference.
        with torch.no_grad():
            ids = torch.arange(2, 6, device=self.device)[None] % config.vocab_size
            expected = inner(input_ids=ids, use_cache=False).logits.float()
            if self.whole is None:
                parts = self.logits(self.hidden(ids))
                close = 1e-4 if self.dtype.itemsize > 2 else 3e-2
                if parts.shape != expected.shape or not torch.allclose(parts, expected, rtol=close, atol=close):
                    self.whole = "its logits are not the output embedding of its hidden states"
        self.vocabulary = expected.shape[-1]

    def hidden(self, ids: torch.Tensor, **options: Any) -> torch.Tensor:
        """Last hidden states (batch, length, width) of token ids (batch, length); logits where ``whole`` says why."""
        ids = ids.to(self.device)
        options = {"use_cache": False, **options}
        if self.whole:
            return self.model(input_ids=ids, **options).logits
        return self.decoder(input_ids=ids, **options).last_hidden_state

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """fp32 logits (…, vocabulary) of hidden states (…, width)."""
        return hidden.float() if self.whole else self.head(hidden).float()

    @property
    def rows(self) -> int:
        """How many positions' logits to hold at once."""
        return max(16, LOGITS // self.vocabulary)


def token_nll(split: Split, ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
    """-log p(token | tokens before it) in nats: fp32 (batch, length - 1) on the CPU, for ids (batch, length).

    Right-padded rows need their ``attention_mask``; the values at padding mean nothing.
    """
    import torch

    with torch.no_grad():
        mask = None if attention_mask is None else attention_mask.to(split.device)
        hidden = split.hidden(ids, attention_mask=mask)[:, :-1]
        hidden, targets = hidden.reshape(-1, hidden.shape[-1]), ids[:, 1:].reshape(-1).to(hidden.device)
        nll = torch.empty(targets.shape, dtype=torch.float32)
        for start in range(0, len(targets), split.rows):
            part = slice(start, start + split.rows)
            logits = split.logits(hidden[part])
            picked = logits.gather(1, targets[part, None].to(logits.device))[:, 0]
            nll[part] = (logits.logsumexp(1) - picked).cpu()
    return nll.view(len(ids), -1)
