"""ACAI's router: the intent classifier, trained here and run in the browser.

Multinomial logistic regression over hashed features, the same as acai/router/features.js computes. Prompts and cues
are in data/intents; the weights go to acai/router/intents.json as int8. `python -m llmini.browser.intents` prints how
good the shipped weights are on held-out prompts, `--train` fits them again.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import math
import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from llmini.settings import UserError, data, root

AGENTS = ("bahith", "musheer", "lughawi", "hakeem", "muraqib", "bani")
LANGUAGES = ("ar", "gulf", "en")
BUCKETS = 8192
PENALTY = 3e-4
"""Weight of the squared norm in the loss; chosen, as the features, by cross-validation on the training prompts."""
FOLDS = 8
LONGEST = 1500
WEIGHTS = {"w": 1, "s": 1, "b": 1, "g": 0.5, "c": 2, "a": 1, "p": 0.5}
_SPELLINGS = {
    "ا": "أإآٱٲٳ",
    "ي": "ىئیےې",
    "و": "ؤۆۇ",
    "ه": "ةہھۀۂە",
    "ك": "کڪگچ",
    "ف": "ڤڢ",
    "ب": "پ",
    "ز": "ژ",
    "ق": "ڨ",
}
_LETTERS = {ord(letter): to for to, letters in _SPELLINGS.items() for letter in letters}
_DIGITS = {first + n: str(n) for first in (0x660, 0x6F0) for n in range(10)}
_DROPPED = re.compile("[\u0640\u0621\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_PIECE = re.compile(r"[0-9]+|[^\W\d_]+|[+×*÷=%|:]")
_ARTICLE = re.compile(r"^(?:[وف]?[بك]?(?:هال|ال)|[وف]?لل)(.{2,})$")
_ENDING = re.compile(r"^(.{3,}?)(?:ها|هم|نا|ات|ون|ين|ه|ي|ت|وا)$")


def normalise(text: str) -> str:
    """One spelling of a text: acai/services/retrieval/normalise.js in Python."""
    text = re.sub("\u0626(?=\u0648)", "\u0648", unicodedata.normalize("NFKC", text)).translate(_DIGITS)
    text = "".join(sign for sign in text if unicodedata.category(sign)[0] != "M")
    return _DROPPED.sub("", text).translate(_LETTERS).replace("’", "'").lower()


def pieces(text: str) -> list[str]:
    """Normalised words and signs; every number is ``0``. Reads the first LONGEST UTF-16 units, as JavaScript counts."""
    text = text.encode("utf-16-le", "surrogatepass")[: 2 * LONGEST].decode("utf-16-le", "replace")
    return ["0" if piece[0] in "0123456789" else piece for piece in _PIECE.findall(normalise(text))]


def cue_lists(path: Path | None = None) -> dict[str, dict[str, list[str]]]:
    """data/intents/cues.json normalised: name -> whole words, and starts of words (written with ``*``)."""
    found = {}
    for name, words in json.loads((path or data("intents", "cues.json")).read_text(encoding="utf8")).items():
        whole = sorted({normalise(word) for word in words if not word.endswith("*")} - {""})
        start = sorted({normalise(word[:-1]) for word in words if word.endswith("*")} - {""})
        found[name] = {"whole": whole, "start": start}
    return found


def names(text: str, cues: dict[str, dict[str, list[str]]]) -> set[str]:
    """The features of a prompt by name."""
    words, found, seen = pieces(text), set(), set()
    for place, word in enumerate(words):
        article = _ARTICLE.match(word)
        bare = article[1] if article else word
        ending = _ENDING.match(bare)
        found |= {f"w{word}", f"s{ending[1] if ending else bare}", f"b{words[place - 1] if place else '^'} {word}"}
        edged = f"^{word}$"
        found |= {f"g{edged[at : at + 3]}" for at in range(len(edged) - 2)}
        forms = (word, bare) if article else (word, word[1:]) if len(word) > 3 and word[0] in "وفبل" else (word,)
        for name, lists in cues.items():
            if any(form in lists["whole"] or form.startswith(tuple(lists["start"])) for form in forms):
                seen.add(name)
                found.add(f"c{name}")
                if place < 2:
                    found.add(f"a{place}{name}")
    found.add(f"b{words[-1] if words else '^'} $")
    ordered = sorted(seen)
    found |= {f"p{first}+{second}" for at, first in enumerate(ordered) for second in ordered[at + 1 :]}
    numbers = words.count("0")
    return found | ({"cnumber"} if numbers else set()) | ({"cnumbers"} if numbers > 1 else set())


def features(text: str, cues: dict[str, dict[str, list[str]]], buckets: int = BUCKETS) -> dict[int, float]:
    """The vector of a prompt, of length 1: place -> value."""
    vector: dict[int, float] = {}
    for name in names(text, cues):
        units = np.frombuffer(name.encode("utf-16-le"), dtype="<u2").tolist()
        value = 0x811C9DC5
        for unit in units:
            value = ((value ^ unit) * 0x01000193) & 0xFFFFFFFF
        at = (value ^ (value >> 15)) % buckets
        vector[at] = vector.get(at, 0.0) + WEIGHTS[name[0]]
    length = math.sqrt(sum(value * value for value in vector.values()))
    return {at: value / length for at, value in vector.items()}


@cache
def prompts() -> list[dict[str, Any]]:
    """data/intents/prompts.jsonl: text, agent, language, round. Raises UserError for a row that is not one."""
    rows = [json.loads(line) for line in data("intents", "prompts.jsonl").read_text(encoding="utf8").splitlines()]
    for row in rows:
        if row.get("agent") not in AGENTS or row.get("language") not in LANGUAGES or not row.get("text"):
            raise UserError(f"data/intents/prompts.jsonl: no labelled prompt: {row}")
    return rows


def is_held_out(row: dict[str, Any]) -> bool:
    """Three in ten prompts by a hash of their text; all of the sealed ones."""
    return bool(row.get("sealed")) or _share(row["text"]) < 0.3


def _share(text: str) -> float:
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32


def matrix(rows: list[dict[str, Any]], cues: dict[str, dict[str, list[str]]]) -> Any:
    """scipy.sparse (prompts, buckets)."""
    from scipy import sparse

    vectors = [features(row["text"], cues) for row in rows]
    places = [(n, at) for n, vector in enumerate(vectors) for at in vector]
    values = [value for vector in vectors for value in vector.values()]
    return sparse.csr_matrix((values, tuple(zip(*places, strict=True))), shape=(len(rows), BUCKETS))


def labels(rows: list[dict[str, Any]]) -> np.ndarray:
    """(prompts,) places in AGENTS."""
    return np.array([AGENTS.index(row["agent"]) for row in rows])


def fit(inputs: Any, wanted: np.ndarray, penalty: float = PENALTY) -> tuple[np.ndarray, np.ndarray]:
    """Multinomial logistic regression by L-BFGS: weights (buckets, agents) and bias (agents,)."""
    from scipy.optimize import minimize

    rows, width = inputs.shape
    count = len(AGENTS)
    target = np.eye(count)[wanted]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = flat[:-count].reshape(width, count), flat[-count:]
        logits = inputs @ weights + bias
        logits -= logits.max(1, keepdims=True)
        likely = np.exp(logits)
        total = likely.sum(1, keepdims=True)
        value = float((np.log(total[:, 0]) - (logits * target).sum(1)).mean() + penalty / 2 * (weights**2).sum())
        slope = (likely / total - target) / rows
        return value, np.concatenate([(inputs.T @ slope + penalty * weights).ravel(), slope.sum(0)])

    best = minimize(loss, np.zeros((width + 1) * count), jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    return best[:-count].reshape(width, count), best[-count:]


def probabilities(inputs: Any, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Softmax (prompts, agents)."""
    logits = inputs @ weights + bias
    likely = np.exp(logits - logits.max(1, keepdims=True))
    return likely / likely.sum(1, keepdims=True)


def decide(likely: np.ndarray, threshold: float) -> np.ndarray:
    """The chosen agent's place; bahith (0) where the best is less likely than ``threshold``."""
    return np.where(likely.max(1) < threshold, 0, likely.argmax(1))


def train(rows: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Fit on the prompts not held out; the threshold is the highest that costs no accuracy in cross-validation."""
    rows = [row for row in rows or prompts() if not is_held_out(row)]
    cues = cue_lists()
    inputs, wanted = matrix(rows, cues), labels(rows)
    fold = np.array([int(_share(f"fold {row['text']}") * FOLDS) for row in rows])
    likely = np.zeros((len(rows), len(AGENTS)))
    for n in range(FOLDS):
        likely[fold == n] = probabilities(inputs[fold == n], *fit(inputs[fold != n], wanted[fold != n]))
    steps = [step / 100 for step in range(20, 61)]
    scores = [float((decide(likely, step) == wanted).mean()) for step in steps]
    threshold = max(step for step, score in zip(steps, scores, strict=True) if score >= max(scores) - 1e-9)
    weights, bias = fit(inputs, wanted)
    scale = np.abs(weights).max(0) / 127
    whole = np.rint(weights / scale).astype(np.int8)
    return {"agents": list(AGENTS), "buckets": BUCKETS, "threshold": threshold, "trained_on": len(rows),
            "cross_validation": round(max(scores), 4), "bias": [round(float(b), 6) for b in bias],
            "scale": [round(float(s), 9) for s in scale], "weights": base64.b64encode(whole.tobytes()).decode(),
            "cues": cues}  # fmt: skip


def weights_of(model: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Weights and bias of intents.json in float."""
    whole = np.frombuffer(base64.b64decode(model["weights"]), dtype=np.int8).reshape(model["buckets"], -1)
    return whole * np.array(model["scale"]), np.array(model["bias"])


def evaluate(model: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """n, right, accuracy and Wilson interval of the routed agent, overall and per language; the confusion matrix."""
    from llmini.measure.statistics import wilson

    wanted = labels(rows)
    got = decide(probabilities(matrix(rows, model["cues"]), *weights_of(model)), model["threshold"])

    def score(kept: np.ndarray) -> dict[str, Any]:
        right, n = int((got == wanted)[kept].sum()), int(kept.sum())
        return {"n": n, "right": right, "accuracy": round(right / n, 4) if n else None,
                "interval": [round(bound, 4) for bound in wilson(right, n)]}  # fmt: skip

    confusion = np.zeros((len(AGENTS), len(AGENTS)), dtype=int)
    np.add.at(confusion, (wanted, got), 1)
    spoken = np.array([row["language"] for row in rows])
    return {**score(np.ones(len(rows), bool)), "languages": {language: score(spoken == language)
            for language in LANGUAGES}, "confusion": confusion.tolist()}  # fmt: skip


def sets() -> dict[str, list[dict[str, Any]]]:
    """The held-out prompts: ``held_out`` by hash, ``sealed`` written after everything was settled."""
    held = [row for row in prompts() if is_held_out(row)]
    return {
        name: [row for row in held if bool(row.get("sealed")) == (name == "sealed")] for name in ("held_out", "sealed")
    }


def path() -> Path:
    """acai/router/intents.json."""
    return root() / "acai" / "router" / "intents.json"


def main(argv: list[str] | None = None) -> None:
    """The command: train if asked, then print accuracy and confusion."""
    parser = argparse.ArgumentParser(prog="python -m llmini.browser.intents", description=__doc__.splitlines()[0])
    parser.add_argument("--train", action="store_true", help="fit the weights again and write acai/router/intents.json")
    if parser.parse_args(argv).train:
        from llmini.records import write_atomic

        model = train()
        model["measured"] = {name: evaluate(model, rows) for name, rows in sets().items() if rows}
        text = json.dumps(model, ensure_ascii=False, separators=(",", ":")) + "\n"
        write_atomic(path(), lambda place: place.write_text(text, encoding="utf8"))
    model = json.loads(path().read_text(encoding="utf8"))
    print(f"trained on {model['trained_on']} prompts; cross-validation {model['cross_validation']:.3f}; "
          f"below {model['threshold']:.2f} the question goes to bahith")  # fmt: skip
    for name, rows in sets().items():
        if not rows:
            continue
        found = evaluate(model, rows)
        print(f"\n{name}: {found['right']} of {found['n']} right")
        for label, part in {"all": found, **found["languages"]}.items():
            low, high = part["interval"]
            print(f"  {label:5}{part['accuracy']:.3f}  [{low:.3f}, {high:.3f}]  n={part['n']}")
        print("  wanted \\ got " + " ".join(f"{agent:>8}" for agent in AGENTS))
        for agent, row in zip(AGENTS, found["confusion"], strict=True):
            print(f"  {agent:13}" + " ".join(f"{count:8}" for count in row))


if __name__ == "__main__":
    main()
