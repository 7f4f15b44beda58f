"""Quantization, pruning, their invariants and the sizes they leave."""
