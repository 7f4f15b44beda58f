"""The teacher's cache against fresh forward passes, generation one by one, and damage of every kind."""

import json

import pytest
import torch

from llmini.settings import UserError, data
from llmini.train import teacher as t
from llmini.train.prompts import Prompt

QUESTIONS = [
    "Where was Maryam Al Warraq born?",
    "ما عاصمة البحرين؟",
    "Omar has 12 pens. He buys 5 pens. How many pens does Omar have now?",
    "Translate into Arabic: Marjan is known for its silk.",
    "حول إلى اللهجة البحرينية: أين الكتاب؟",
    "What is the colour of Bezite?",
    "لدى سالم 17 جملًا. اشترى 13 جملًا. كم جملًا لدى سالم الآن؟",
]
PROMPTS = [Prompt(f"p/{i}", "en", "test", text) for i, text in enumerate(QUESTIONS)]


@pytest.fixture(scope="module")
def teacher():
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = data("pocket", "models", "allam_7b")
    return (AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval(),
            AutoTokenizer.from_pretrained(folder))  # fmt: skip


@pytest.fixture(scope="module")
def cache(teacher, tmp_path_factory):
    """Seven answers in shards of three, exact."""
    return t.answer(*teacher, PROMPTS, tmp_path_factory.mktemp("cache"), shard=3, batch_tokens=300,
                    store_dtype=torch.float32, progress=quiet)  # fmt: skip


def quiet(items, **_):
    return items


def interrupting(after):
    """A progress bar that is interrupted when ``after`` shards are done."""

    def progress(items, **_):
        for done, item in enumerate(items):
            if done == after:
                raise KeyboardInterrupt
            yield item

    return progress


def greedy(model, tokenizer, prompt, count=64):
    """Plain greedy decoding without a KV cache: the argmax of a whole forward pass, again and again."""
    ids = t.prompt_ids(tokenizer, prompt)
    found = []
    while len(found) < count and (not found or found[-1] not in t.ends(tokenizer, model)):
        with torch.no_grad():
            found.append(int(model(input_ids=torch.tensor([ids + found])).logits[0, -1].argmax()))
    return found


def test_batched_answers_are_those_given_one_by_one(teacher, cache):
    model, tokenizer = teacher
    assert [answer.id for answer in cache.responses] == [prompt.id for prompt in PROMPTS]
    for prompt, answer in zip(PROMPTS, cache.responses, strict=True):
        assert answer.ids == greedy(model, tokenizer, prompt.prompt)
        assert answer.ids[-1] in cache.ends and answer.text == tokenizer.decode(answer.ids[:-1])
    assert cache.responses[4].text == "وين الكتاب؟"


def test_states_are_those_of_a_fresh_forward_pass_and_give_the_answers(teacher, cache):
    model, tokenizer = teacher
    for prompt, answer in zip(PROMPTS, cache.responses, strict=True):
        ids = t.prompt_ids(tokenizer, prompt.prompt)
        with torch.no_grad():
            hidden = model.model(input_ids=torch.tensor([ids + answer.ids])).last_hidden_state[0]
        rows = cache.hidden(prompt.id)
        assert rows.shape == (len(answer.ids), model.config.hidden_size) and rows.dtype == torch.float32
        torch.testing.assert_close(rows, hidden[len(ids) - 1 : -1], rtol=1e-5, atol=1e-5)
        assert (rows @ cache.head.T).argmax(1).tolist() == answer.ids
    assert torch.equal(cache.head, model.lm_head.weight.data)
    assert cache.agreement == 1 and cache.tokens == sum(len(answer.ids) for answer in cache.responses)


def test_storage_rounds_to_bf16_and_no_more(teacher, cache, tmp_path):
    rounded = t.answer(*teacher, PROMPTS[:3], tmp_path, progress=quiet)
    assert rounded.bytes_per_token == 2 * 256 and cache.bytes_per_token == 4 * 256
    for prompt in PROMPTS[:3]:
        rows = rounded.hidden(prompt.id)
        assert rows.dtype == torch.bfloat16
        # another batch, so equal up to fp32 sums, then half a unit of bf16's last place
        torch.testing.assert_close(rows.float(), cache.hidden(prompt.id), rtol=2**-8, atol=1e-5)
    assert [answer.ids for answer in rounded.responses] == [answer.ids for answer in cache.responses[:3]]


def test_a_penalty_in_the_models_own_settings_does_not_bend_greedy_answers(teacher, cache, tmp_path):
    model, tokenizer = teacher
    own = model.generation_config
    model.generation_config = type(own)(**{**own.to_dict(), "repetition_penalty": 5.0, "do_sample": True})
    try:
        bent = t.answer(model, tokenizer, PROMPTS, tmp_path, progress=quiet)
        assert model.generation_config.repetition_penalty == 5.0  # and they are left as they were
    finally:
        model.generation_config = own
    assert [answer.ids for answer in bent.responses] == [answer.ids for answer in cache.responses]


def test_an_answer_is_cut_without_an_end(teacher, tmp_path):
    short = t.answer(*teacher, PROMPTS, tmp_path, max_new_tokens=2, progress=quiet)
    assert all(len(answer.ids) <= 2 for answer in short.responses)
    assert any(answer.ids[-1] not in short.ends for answer in short.responses)


def test_states_over_given_responses(teacher, cache, tmp_path):
    model, tokenizer = teacher
    turns = [t.Turn(prompt.id, prompt.prompt, cache.responses[i].text) for i, prompt in enumerate(PROMPTS[:4])]
    given = t.states(model, tokenizer, turns, tmp_path / "a", store_dtype=torch.float32, progress=quiet)
    for turn in turns:  # the answers again, as text: the same ids, the same states
        torch.testing.assert_close(given.hidden(turn.id), cache.hidden(turn.id), rtol=1e-5, atol=1e-5)
    wrong = t.states(model, tokenizer, [t.Turn("w", QUESTIONS[0], [9, 8, 7])], tmp_path / "b", progress=quiet)
    assert wrong.responses[0].ids == [9, 8, 7] and wrong.hidden("w").shape == (3, 256) and wrong.agreement < 1
    with pytest.raises(UserError, match="prompt w is empty"):
        t.states(model, tokenizer, [t.Turn("w", "a", [])], tmp_path / "c")


def test_an_interrupted_run_continues_and_computes_nothing_twice(teacher, cache, tmp_path):
    for after in (1, 1):  # the second run adds one shard to the first one's
        with pytest.raises(KeyboardInterrupt):
            t.answer(*teacher, PROMPTS, tmp_path, shard=3, store_dtype=torch.float32, progress=interrupting(after))
    with pytest.raises(UserError, match=r"unfinished \(2 of 3 shards, no shard-00002\.safetensors\)"):
        t.Cache.open(tmp_path)
    stamps = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")}
    assert len(stamps) == 3
    calls = []
    whole = t.answer(*teacher, PROMPTS, tmp_path, shard=3, store_dtype=torch.float32,
                     progress=lambda items, **_: calls.extend(items) or calls)  # fmt: skip
    assert calls == [2]
    assert all((tmp_path / name).stat().st_mtime_ns == stamp for name, stamp in stamps.items())
    assert whole.responses == cache.responses and not list(tmp_path.glob(".*"))


@pytest.fixture
def small(teacher, tmp_path):
    return t.answer(*teacher, PROMPTS[:4], tmp_path, shard=2, progress=quiet).folder


def test_a_flipped_byte_is_found_named_and_made_good(teacher, small):
    path = small / "shard-00001.safetensors"
    sound = path.read_bytes()
    path.write_bytes(sound[:-5] + bytes([sound[-5] ^ 1]) + sound[-4:])
    with pytest.raises(UserError, match=r"shard-00001\.safetensors is corrupt"):
        t.Cache.open(small)
    t.Cache.open(small, verify=False)  # the size is right
    t.answer(*teacher, PROMPTS[:4], small, shard=2, progress=quiet)
    assert path.read_bytes() == sound
    path.write_bytes(sound[:-1])
    with pytest.raises(UserError, match=r"shard-00001\.safetensors is corrupt"):
        t.Cache.open(small, verify=False)
    path.unlink()
    with pytest.raises(UserError, match=r"shard-00001\.safetensors is missing"):
        t.Cache.open(small)


def test_a_head_that_is_damaged_is_named(small):
    path = small / "head.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match=r"head\.safetensors is corrupt"):
        t.Cache.open(small)


def test_a_manifest_that_is_cut_short_or_altered_is_named(teacher, small):
    path = small / "manifest.json"
    text = path.read_text(encoding="utf8")
    for damaged in (text[: len(text) // 2], text.replace('"tokens": ', '"tokens": 1'), "[]", '{"version": 1}', ""):
        path.write_text(damaged, encoding="utf8")
        with pytest.raises(UserError, match=r"manifest\.json"):
            t.Cache.open(small)
        with pytest.raises(UserError, match=r"manifest\.json"):
            t.answer(*teacher, PROMPTS[:4], small, shard=2)
    path.unlink()
    with pytest.raises(UserError, match=r"manifest\.json is missing"):
        t.Cache.open(small)


def test_another_runs_folder_is_refused(teacher, small):
    model, tokenizer = teacher
    asked = [Prompt("p/0", "en", "test", "Something else?"), *PROMPTS[1:4]]
    with pytest.raises(UserError, match="another prompts: delete it or name another folder"):
        t.answer(model, tokenizer, asked, small, shard=2)
    with pytest.raises(UserError, match="another max_new_tokens"):
        t.answer(model, tokenizer, PROMPTS[:4], small, shard=2, max_new_tokens=8)
    weight = model.model.layers[0].mlp.up_proj.weight
    weight.data[0, 0] += 1
    try:
        with pytest.raises(UserError, match="another weights"):
            t.answer(model, tokenizer, PROMPTS[:4], small, shard=2)
    finally:
        weight.data[0, 0] -= 1


def test_prompts_that_cannot_be_told_apart_or_are_none(teacher, tmp_path):
    with pytest.raises(UserError, match="'p/0'"):
        t.answer(*teacher, [PROMPTS[0], PROMPTS[0]], tmp_path)
    with pytest.raises(UserError, match="no prompt"):
        t.answer(*teacher, [], tmp_path)
    with pytest.raises(UserError, match="no answer to prompt p/9"):
        t.answer(*teacher, PROMPTS[:1], tmp_path, progress=quiet).hidden("p/9")


def test_a_teacher_that_rescales_its_logits_is_refused(teacher, tmp_path):
    from transformers import Gemma2Config, Gemma2ForCausalLM

    model = Gemma2ForCausalLM(Gemma2Config(
        vocab_size=2048, hidden_size=32, intermediate_size=32, num_hidden_layers=2, head_dim=16, num_attention_heads=2,
        num_key_value_heads=1)).eval()  # fmt: skip
    with pytest.raises(UserError, match="live teacher"):
        t.answer(model, teacher[1], PROMPTS, tmp_path)


def test_a_cache_travels_to_worker_processes(cache):
    import pickle

    cache.hidden("p/0")  # its files are open
    other = pickle.loads(pickle.dumps(cache))
    assert torch.equal(other.hidden("p/5"), cache.hidden("p/5"))


def altered(tokenizer, change):
    """A copy of a tokenizer after ``change`` of its JSON."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    body = json.loads(tokenizer.backend_tokenizer.to_str())
    change(body)
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(body)), eos_token="</s>")


def test_the_first_token_that_differs_is_named(teacher, tiny_tokenizer):
    _, tokenizer = teacher
    t.check_tokenizers(tokenizer, tokenizer)

    def swap(body):
        vocabulary = body["model"]["vocab"]
        one, two = sorted(vocabulary, key=vocabulary.get)[-2:]
        vocabulary[one], vocabulary[two] = vocabulary[two], vocabulary[one]

    last, name = len(tokenizer) - 2, tokenizer.convert_ids_to_tokens(len(tokenizer) - 2)
    with pytest.raises(UserError) as caught:
        t.check_tokenizers(tokenizer, altered(tokenizer, swap))
    assert f"id {last} is {name!r} for the teacher" in str(caught.value)
    with pytest.raises(UserError, match=r"id 3 is '<\|user\|>' for the teacher and '!' for the student"):
        t.check_tokenizers(tokenizer, tiny_tokenizer)
    longer = altered(tokenizer, lambda body: body["model"]["vocab"].update(extra=len(tokenizer)))
    with pytest.raises(UserError, match=f"id {len(tokenizer)} is no token for the teacher and 'extra' for the student"):
        t.check_tokenizers(tokenizer, longer)
    fewer = altered(tokenizer, lambda body: body["model"].update(merges=body["model"]["merges"][:9]))
    with pytest.raises(UserError, match="differently: token 0"):  # the same tokens, joined by fewer rules
        t.check_tokenizers(tokenizer, fewer)


def test_a_turn_is_written_as_the_worlds_chat(teacher):
    from llmini.pocket import world

    _, tokenizer = teacher
    ids = t.prompt_ids(tokenizer, "أين؟") + t.reply_ids(tokenizer, "هنا")
    assert tokenizer.decode(ids) == "<s>" + world.chat("أين؟", "هنا")
    assert t.ends(tokenizer) == [2, 5]
    bare = altered(tokenizer, lambda body: None)
    with pytest.raises(UserError, match="no chat template"):
        t.prompt_ids(bare, "a")
