"""Tiny random encoders of the real classes, for the encoder tests."""

from pathlib import Path

from llmini import encoders, settings

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
POLARITY = ("negative", "positive")
KINDS = {"token": LABELS, "sequence": POLARITY}
NAMES = ("afriberta", "bert_base", "distilbert")


def tokenizer(name="bert_base"):
    """A small tokenizer of the class that the pocket encoder uses."""
    from llmini.pocket.encoder_tokenizer import train

    words = ["the bank of a town lent ten pearls to its old ship", "أقرض بنك المدينة عشر لآلئ للسفينة القديمة في البحر"]
    return train(name, words * 20, 300)


def masked(name="bert_base", layers=3, seed=0, **changes):
    """A random masked language model, 64 wide with 4 heads."""
    from llmini.pocket.encoder_shapes import build

    shape = {"hidden_size": 64, "num_hidden_layers": layers, "num_attention_heads": 4, "intermediate_size": 128,
             "vocab_size": 300}  # fmt: skip
    return build(name, seed, **{**shape, **changes}).eval()


def save(folder: Path, name="bert_base", kind="token", seed=0, labels=None, **changes):
    """The folder of a random encoder with a classification head of unlike weights."""
    import torch

    model, home = masked(name, seed=seed, **changes), Path(folder, "base")
    encoders.save(model, tokenizer(name), home)
    model, words = encoders.load(home, kind, KINDS[kind] if labels is None else labels, seed)
    torch.manual_seed(seed)
    for parameter in model.parameters():  # biases of zero and norms of one would hide what is done to them
        parameter.data += 0.05 * torch.randn_like(parameter)
    return encoders.save(model, words, Path(folder, kind))


def batch(count=3, length=9, seed=0):
    """ids and mask (count, length), the last rows padded."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, 300, (count, length), generator=generator)
    mask = torch.ones_like(ids)
    mask[-1, length // 2 :] = 0
    return ids, mask


def root():
    """The checkout."""
    return settings.root()
