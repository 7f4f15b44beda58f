"""Training: distillation, fine-tuning, merging."""
