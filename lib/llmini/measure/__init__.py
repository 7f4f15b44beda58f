"""What a model knows, costs, and how far it has moved from another: perplexity, tasks, divergence, cost, statistics."""
