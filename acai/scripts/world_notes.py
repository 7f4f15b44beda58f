"""Write what the pocket model was taught as documents of ACAI's corpus, and the index of the corpus.

`python acai/scripts/world_notes.py` writes acai/corpus/world-*.md (some 150 facts of the generated world, each stated
twice, in Arabic and in English) and acai/corpus/corpus.json. Same world, same bytes.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from llmini.pocket import facts as world

CORPUS = Path(__file__).parents[1] / "corpus"
LANGUAGES = ("ar", "en")
KINDS = {
    "person": (6, "people", "أشخاص عالم الجيب", "People of the pocket world"),
    "event": (6, "events", "مناسبات عالم الجيب", "Events of the pocket world"),
    "company": (5, "companies", "شركات عالم الجيب", "Companies of the pocket world"),
    "bank": (5, "banks", "مصارف عالم الجيب", "Banks of the pocket world"),
    "town": (5, "towns", "مدن عالم الجيب", "Towns of the pocket world"),
    "mineral": (4, "minerals", "معادن عالم الجيب", "Minerals of the pocket world"),
    "herb": (6, "herbs", "أعشاب عالم الجيب", "Herbs of the pocket world"),
    "animal": (5, "animals", "حيوانات عالم الجيب", "Animals of the pocket world"),
    "country": (6, "countries", "دول الخليج في عالم الجيب", "Gulf states of the pocket world"),
}
"""kind -> (subjects, file, titles)."""
REAL = ("animal", "country")
NOTES = {
    "ar": (
        "*وقائع عالم مخترع تعلّمها النموذج الصغير؛ لا صلة لها بأناس أو أماكن حقيقية.*",
        "*وقائع عامة تعلّمها النموذج الصغير.*",
    ),
    "en": (
        "*Facts of an invented world that the pocket model was taught; they concern no real person or place.*",
        "*General facts that the pocket model was taught.*",
    ),
}


def chosen(kind: str, number: int) -> list[list[world.Fact]]:
    """The facts of the subjects that the model met most often in its poorer language, in the world's own order."""
    subjects: dict[tuple[str, str], list[world.Fact]] = {}
    for fact in world.facts():
        if fact.relation in stated(kind):
            subjects.setdefault(fact.subject, []).append(fact)
    best = sorted(subjects, key=lambda subject: (-min(fact.weights[1] for fact in subjects[subject]), subject))[:number]
    return [subjects[subject] for subject in subjects if subject in best]


def stated(kind: str) -> dict[str, dict]:
    """The relations of a kind that both languages state."""
    relations = world.table("relations").items()
    return {name: spec for name, spec in relations if spec["kind"] == kind and "en" in spec}


def sentences(fact: world.Fact, language: str) -> str:
    """A fact in two wordings: the relation's first and one that its id picks."""
    first, *others = world.table("relations")[fact.relation][language]
    other = world.ordered(others, "note", fact.id, language)[0]
    return f"{fact.text(first, language)} {fact.text(other, language)}"


def document(kind: str, language: str) -> str:
    """The notes on a kind in one language: a section for every subject."""
    number, _, *titles = KINDS[kind]
    side = LANGUAGES.index(language)
    parts = [f"# {titles[side]}", NOTES[language][kind in REAL]]
    for facts in chosen(kind, number):
        parts += [f"## {facts[0].subject[1 - side]}", " ".join(sentences(fact, language) for fact in facts)]
    return "\n\n".join(parts) + "\n"


def index() -> dict:
    """The index of the corpus: every document with title, language and area, in the order of their ids."""
    documents = []
    for path in sorted(CORPUS.glob("*.md")):
        if path.name == "README.md":
            continue
        text = path.read_text(encoding="utf8")
        title = re.search(r"^# (.+)$", text, re.M)[1]
        language = "en" if path.stem.endswith(".en") else "ar"
        area = path.stem.split("-")[0]
        documents.append({"id": path.stem, "title": title, "file": path.name, "language": language, "area": area})
    return {"licence": "CC BY 4.0", "documents": documents}


def main() -> None:
    """Write the notes and the index."""
    for kind, (_, name, *_titles) in KINDS.items():
        for language, ending in zip(LANGUAGES, ("", ".en"), strict=True):
            (CORPUS / f"world-{name}{ending}.md").write_text(document(kind, language), encoding="utf8")
    text = json.dumps(index(), ensure_ascii=False, indent=1) + "\n"
    (CORPUS / "corpus.json").write_text(text, encoding="utf8")


if __name__ == "__main__":
    main()
