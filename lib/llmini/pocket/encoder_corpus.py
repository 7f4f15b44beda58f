"""Unlabelled text for the pocket encoders' pretraining: facts of the world, Gulf sentences, news and opinions.

News are the training sentences of entity recognition without their labels, drawn anew: no template or name of the test
sentences is in them, but facts of the world name its people, towns and companies, as an encoder of the real world has
read most names before it is asked for them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from llmini.pocket import encoder_reviews, encoder_sentences
from llmini.pocket.dialects import sentence
from llmini.pocket.encoder_names import LANGUAGES
from llmini.pocket.world import World

MIXTURE = {"facts en": 0.21, "facts ar": 0.21, "gulf": 0.12, "news": 0.24, "opinion en": 0.11, "opinion ar": 0.11}
"""Share of each kind of document."""
MARKS = ",.?!;:،؛؟"


def corpus(count: int, seed: int = 0) -> Iterator[str]:
    """``count`` documents of the mixture; words and marks stand apart, as in the labelled sentences."""
    rng, world = random.Random(f"encoder/{seed}"), World(f"encoder/{seed}")
    for _ in range(count):
        kind, _, language = rng.choices(list(MIXTURE), weights=list(MIXTURE.values()))[0].partition(" ")
        if kind == "facts":
            yield apart(world.facts(language))
        elif kind == "gulf":
            yield apart(" ".join(sentence(rng, "train").of("gulf") for _ in range(2)))
        elif kind == "news":
            scenes = [encoder_sentences.scene(rng, "train") for _ in range(2)]
            language = rng.choice(LANGUAGES)
            yield " ".join(" ".join(encoder_sentences.render(scene, language).words) for scene in scenes)
        else:
            yield encoder_reviews.opinion(rng, language)


def apart(text: str) -> str:
    """Every mark as a word of its own."""
    for mark in MARKS:
        text = text.replace(mark, f" {mark} ")
    return " ".join(text.split())
