"""Helpers shared by the tests of llmini.compress."""


def logits(model, calibration):
    import torch

    with torch.no_grad():
        return model(input_ids=calibration.ids[:2]).logits.float()


def inputs_of(model, name, calibration):
    """Inputs (tokens, columns) of a Linear layer of the dense model, as NumPy."""
    import torch

    found = []
    handle = model.get_submodule(name).register_forward_pre_hook(lambda _, x: found.append(x[0].flatten(0, 1)))
    with torch.no_grad():
        for row in calibration.ids:
            model(input_ids=row[None])
    handle.remove()
    return torch.cat(found).numpy()


def divergence(reference, model, calibration):
    """Mean KL(reference ‖ model) per token, in nats."""
    a, b = reference.log_softmax(-1), logits(model, calibration).log_softmax(-1)
    return (a.exp() * (a - b)).sum(-1).mean().item()


def vision_model():
    """A Gemma 3 with a vision tower, as AutoModelForCausalLM gives for Gemma3-12B."""
    import torch
    import transformers

    text = {"vocab_size": 512, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 64}  # fmt: skip
    vision = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 2,
              "image_size": 28, "patch_size": 14}  # fmt: skip
    torch.manual_seed(0)
    config = transformers.Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4)
    return transformers.AutoModelForCausalLM.from_config(config).eval()
