"""The pocket tier: a generated bilingual world, its benchmarks and the tiny models trained on it."""
