"""The router's classifier: data, features equal in Python and JavaScript, held-out accuracy; the agents' node tests."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from llmini.browser import intents
from llmini.pocket import agents as lessons
from llmini.settings import UserError, root

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")


@pytest.fixture(scope="module")
def model():
    return json.loads(intents.path().read_text(encoding="utf8"))


def in_node(payload):
    """What acai/tests/lessons.mjs makes of ``payload``."""
    script = root() / "acai" / "tests" / "lessons.mjs"
    ran = subprocess.run([NODE, "--no-warnings", script], input=json.dumps(payload), capture_output=True, text=True,
                         encoding="utf8", timeout=120)  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_prompts_are_many_balanced_and_different():
    rows = intents.prompts()
    assert len(rows) >= 420 and len({row["text"] for row in rows}) == len(rows)
    for agent in intents.AGENTS:
        own = [row["language"] for row in rows if row["agent"] == agent]
        assert len(own) >= 70
        assert 0.45 <= own.count("ar") / len(own) <= 0.6 and min(own.count("gulf"), own.count("en")) / len(own) >= 0.2
    words = [set(intents.pieces(row["text"])) for row in rows]
    for n, one in enumerate(words):
        assert all(len(one & other) < 0.7 * len(one | other) for other in words[:n]), rows[n]
    sets = intents.sets()
    assert len(sets["held_out"]) >= 120 and len(sets["sealed"]) >= 60


def test_normalisation_by_hand():
    assert intents.normalise("أَحْمَد إلى المدرسةِ ١٢٣ ﻻ چذي مسؤول") == "احمد الي المدرسه 123 لا كذي مسوول"
    assert intents.normalise("شـــيء\u200f Café") == "شي café"
    assert intents.pieces("كم ١٥% من 3.5؟") == ["كم", "0", "%", "من", "0", "0"]


def test_held_out_accuracy_is_what_the_file_says(model):
    for name, rows in intents.sets().items():
        found = intents.evaluate(model, rows)
        assert found == model["measured"][name]
        assert found["accuracy"] >= 0.85 and found["interval"][0] > 0.78
        assert found["right"] == np.trace(found["confusion"]) and sum(map(sum, found["confusion"])) == found["n"]
        assert all(part["accuracy"] >= 0.8 for part in found["languages"].values())


def test_training_again_gives_the_shipped_weights(model):
    again = intents.train()
    rows = [row for rows in intents.sets().values() for row in rows]
    inputs = intents.matrix(rows, model["cues"])
    one, other = (intents.probabilities(inputs, *intents.weights_of(found)) for found in (model, again))
    assert np.abs(one - other).max() < 0.02
    assert again["threshold"] == model["threshold"] and again["cues"] == model["cues"]
    assert np.frombuffer(intents.base64.b64decode(again["weights"]), np.int8).nbytes <= 150_000


def test_no_held_out_prompt_is_trained_on(model):
    held = {row["text"] for rows in intents.sets().values() for row in rows}
    kept = [row for row in intents.prompts() if not intents.is_held_out(row)]
    assert len(kept) == model["trained_on"] and not held & {row["text"] for row in kept}


def test_low_probability_falls_to_bahith():
    likely = np.array([[0.1, 0.1, 0.1, 0.5, 0.1, 0.1], [0.1, 0.1, 0.1, 0.3, 0.2, 0.2]])
    assert intents.decide(likely, 0.4).tolist() == [3, 0]


def test_the_fit_finds_the_minimum():
    from scipy import sparse

    rng = np.random.default_rng(0)
    inputs, wanted = sparse.csr_matrix(rng.normal(size=(60, 5))), rng.integers(0, 6, 60)
    weights, bias = intents.fit(inputs, wanted, 0.1)
    likely = intents.probabilities(inputs, weights, bias)
    slope = inputs.T @ (likely - np.eye(6)[wanted]) / 60 + 0.1 * weights
    assert np.abs(slope).max() < 1e-4 and np.abs((likely - np.eye(6)[wanted]).mean(0)).max() < 1e-4


def test_a_row_that_is_no_prompt_is_refused(tmp_path, monkeypatch):
    (tmp_path / "data" / "intents").mkdir(parents=True)
    (tmp_path / "data" / "intents" / "prompts.jsonl").write_text('{"text": "x", "agent": "nobody", "language": "ar"}\n')
    monkeypatch.setenv("LLMINI_ROOT", str(tmp_path))
    intents.prompts.cache_clear()
    with pytest.raises(UserError, match="no labelled prompt"):
        intents.prompts()
    intents.prompts.cache_clear()


def test_the_command_prints_accuracy_and_confusion(capsys):
    intents.main([])
    said = capsys.readouterr().out
    assert "wanted \\ got" in said and re.search(r"all +0\.\d{3}  \[0\.\d{3}, 0\.\d{3}\]  n=\d+", said)


@needs_node
def test_javascript_computes_the_same_features(model):
    rows = intents.prompts()
    texts = [row["text"] for row in rows[:: max(1, len(rows) // 100)]]
    assert len(texts) >= 100
    texts += ["", "ﷺ ﻻ ٣٫٥ ۱۲ ½ ②", "كِتَابٌ\u200f ئوئ مئوية", "don't İstanbul ΣΑΣ 🙂", "x" * 1499 + "🙂 كتاب", "९ Ⅷ ª º"]
    got = in_node({"prompts": texts})["prompts"]
    weights, bias = intents.weights_of(model)
    likely = intents.probabilities(intents.matrix([{"text": text} for text in texts], model["cues"]), weights, bias)
    for text, one, expected in zip(texts, got, likely, strict=True):
        assert set(one["names"]) == intents.names(text, model["cues"]), text
        assert dict(map(tuple, one["features"])) == pytest.approx(intents.features(text, model["cues"])), text
        assert one["probabilities"] == pytest.approx(expected, abs=1e-9)
        assert one["agent"] == intents.AGENTS[int(intents.decide(expected[None], model["threshold"])[0])] or not text


@needs_node
def test_agents_speak_the_format_of_the_lessons():
    """Each lesson's request comes out of the agent's prompt, and its right answer through its parser and checks."""
    asked = []
    for agent, language, request, answer in lessons.lessons(400, seed="acai"):
        form, payload = lessons.formats()[agent][language], {}
        tasks = [name for name in form if agent == "lughawi" and request.startswith(form[name].partition("{query}")[0])]
        template = form[tasks[0]] if tasks else form["prompt"]
        pattern = re.escape(template).replace(r"\{sources\}", "(?P<sources>.*)").replace(r"\{query\}", "(?P<query>.*)")
        payload = re.fullmatch(pattern, request, re.DOTALL).groupdict()
        sources = re.sub(r"^\[\d+\] ", "", payload.get("sources") or "", flags=re.MULTILINE).splitlines()
        asked.append({"agent": agent, "language": language, "query": payload["query"], "sources": sources,
                      "task": tasks[0] if tasks else None, "answer": answer, "request": request})  # fmt: skip
    got = in_node({"lessons": asked})["lessons"]
    verdicts = []
    for lesson, found in zip(asked, got, strict=True):
        assert found["prompt"] == lesson["request"]
        assert found["parsed"]["kept"], lesson
        if lesson["agent"] == "hakeem":
            assert not found["parsed"]["differs"] and all(step["correct"] for step in found["parsed"]["steps"]), lesson
        if lesson["agent"] == "bahith" and not found["parsed"]["none"]:
            assert all(sentence["supported"] for sentence in found["parsed"]["sentences"]), lesson
        if lesson["agent"] == "muraqib":
            verdicts.append(found["parsed"]["verdict"] == found["settled"])
    assert len(verdicts) > 50 and np.mean(verdicts) >= 0.85  # right verdicts that the check of words lets through


@needs_node
@pytest.mark.parametrize("name", ["router", "agents"])
def test_node_tests_pass(name):
    ran = subprocess.run([NODE, "--no-warnings", "--test", root() / "acai" / "tests" / f"{name}.test.mjs"],
                         capture_output=True, text=True, encoding="utf8", timeout=120)  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-4000:]
