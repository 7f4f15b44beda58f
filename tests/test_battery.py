"""The battery's texts: what a language's perplexity is taken over."""

from llmini import models, settings
from llmini.measure import battery


def test_pocket_documents_end_as_in_training():
    tokenizer = models.load_tokenizer(settings.data("pocket", "models", "allam_7b"))
    texts = battery.texts_of("pocket", tokenizer)
    assert [text["language"] for text in texts] == ["en", "ar", "gulf"]
    for text in texts:
        ids = tokenizer(text["text"], add_special_tokens=False, verbose=False)["input_ids"]
        documents = 300 if text["language"] == "gulf" else battery.POCKET_DOCUMENTS  # the world has no more
        assert ids.count(tokenizer.eos_token_id) == documents - 1


def test_a_document_s_end_is_no_surprise():
    """Joined by blank lines the boundary alone costs 8 nats a token, and a model that forgets the end scores better."""
    import torch

    from llmini.measure.logits import Split, token_nll
    from llmini.measure.perplexity import windows

    model, tokenizer = models.load("allam_7b", "pocket", device="cpu")
    for text in battery.texts_of("pocket", tokenizer):
        ids = windows(tokenizer, text["text"], text["window"])[:6]
        with torch.no_grad():
            nll = token_nll(Split(model), ids)
        assert nll[ids[:, 1:] == tokenizer.eos_token_id].mean() < 1.0
