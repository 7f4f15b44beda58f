"""Errors that learners and typists make in written Arabic, made by rule in any sentence of standard Arabic.

A rule speaks where it is sure that what it makes is wrong, and is silent elsewhere: agreement is broken only where the
gender of the word that governs is known, from the tables of the grammar and the names of the pocket world.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

from llmini.pocket import grammar_words as lexicon
from llmini.pocket.grammar_tables import accusative

_PIECES = re.compile(r"[\u0621-\u0652]+|[^\u0621-\u0652]+")
_WORD = re.compile(r"[\u0621-\u0652]+")
_WASL = re.compile(r"^(و|ف|ال|وال|بال|لل)?(ا)(?=ست|نت|جت|قت|كت|شت|عت|خت|رت|حت|بت|فت|سم$|بن$|ثن)")
_UNITS = {"ثلاثة": "ثلاث", "أربعة": "أربع", "خمسة": "خمس", "ستة": "ست", "سبعة": "سبع", "ثمانية": "ثماني", "تسعة": "تسع",
          "عشرة": "عشر"}  # fmt: skip
_GENDERED = {"هذا": "هذه", "الذي": "التي", "ذلك": "تلك"}
_JUSSIVE = {"يكن": "يكون", "تكن": "تكون", "أكن": "أكون", "نكن": "نكون", "يعد": "يعود", "تعد": "تعود", "يقل": "يقول",
            "تقل": "تقول", "يبق": "يبقى", "تبق": "تبقى", "ير": "يرى", "تر": "ترى"}  # fmt: skip
_OPENERS = ("", "ثم", "قد", "لم", "لا", "لن", "الذي", "التي", "لأنه", "لأنها", "كان", "كانت")
"""Words after which a verb without a subject beside it speaks of someone named before."""
_BEFORE = ("في", "من", "إلى", "على", "عن", "مع", "بين", "عند", "خلال", "بعد", "قبل")
Rule = Callable[[random.Random, list[str], int], Iterator[str]]
"""Wrong forms of word i of the words of a sentence."""


def corrupt(rng: random.Random, sentence: str) -> list[tuple[str, str]]:
    """Every (kind, wrong sentence) that the rules can make of a sentence, one error in each, all different.

    Where a rule may err in several ways (which wrong preposition), `rng` chooses. The list is empty where no rule
    applies; it never holds the sentence itself.
    """
    pieces = _PIECES.findall(sentence)
    places = [i for i, piece in enumerate(pieces) if _WORD.fullmatch(piece)]
    # Words across a full stop are no neighbours: the words between them are empty.
    words, where = [], []
    for i in places:
        if where and re.search(r"[.؟?!،:؛\n]", "".join(pieces[where[-1] + 1 : i])):
            words.append("")
            where.append(i - 1)
        number = re.search(r"(\d+) $", pieces[i - 1]) if i else None
        if number:
            words.append(number.group(1))
            where.append(i - 1)
        words.append(pieces[i])
        where.append(i)
    found: dict[str, str] = {}
    for kind, rule in RULES.items():
        for i, place in enumerate(where):
            if not _WORD.fullmatch(words[i]):
                continue
            for wrong in rule(rng, words, i):
                text = "".join([*pieces[:place], wrong, *pieces[place + 1 :]])
                if wrong != words[i]:
                    found.setdefault(text, kind)
    found.pop(sentence, None)
    return [(kind, text) for text, kind in found.items()]


def _next(words: list[str], i: int, step: int = 1) -> str:
    return words[i + step] if 0 <= i + step < len(words) else ""


def hamza(rng: random.Random, words: list[str], i: int) -> Iterator[str]:
    """A hamza left out, put on the wrong seat, or written on a joining alef."""
    word = words[i]
    start = re.match(r"^(و|ف|ب|ل|ال|وال|بال|لل)?([أإ])", word)
    if start and len(word) > 2:
        yield word[: start.end() - 1] + "ا" + word[start.end() :]
    if re.match(r"^(وال|بال|ال)?إ", word):
        yield word.replace("إ", "أ", 1)
    wasl = _WASL.match(word)
    if wasl and len(word) > 2:
        yield word[: wasl.start(2)] + "إ" + word[wasl.end(2) :]
    middle = re.search(r"(?<=.)[ؤئ](?=[^و])", word)  # مسؤول and مسئول, شؤون and شئون are both written
    if middle:
        yield word[: middle.start()] + {"ؤ": "ئ", "ئ": "ؤ"}[middle.group()] + word[middle.end() :]
    if word.endswith("اء") and len(word) > 4:
        yield word[:-1]


def ta_marbuta(rng: random.Random, words: list[str], i: int) -> Iterator[str]:
    """A ta marbuta without its dots, or written open; dots on a pronoun."""
    word = words[i]
    if word.endswith("ة") and len(word) > 2:
        yield word[:-1] + rng.choice("هت")
    elif re.search(r"(?:[يلنعب]|[^ا]ت)ه$", word) and word not in ("وجه", "شبه", "الله", "لله", "والله"):
        yield word[:-1] + "ة"


def alif_maqsura(rng: random.Random, words: list[str], i: int) -> Iterator[str]:
    """ى and ي confused at the end of a word, or ى written as an alef."""
    word = words[i]
    if word.endswith("ى") and len(word) > 2:
        # after a prefix ت the ي would make another verb form, that of the woman addressed
        yield word[:-1] + ("ي" if word in ("إلى", "على") else "ا" if word.startswith("ت") else rng.choice("يا"))
    elif word.endswith("ي") and len(word) > 1 and word not in ("أي",):
        yield word[:-1] + "ى"


def verb_gender(rng: random.Random, words: list[str], i: int) -> Iterator[str]:
    """A verb or participle that disagrees with its subject: the next word, or the person whom the text names."""
    word = words[i]
    other = lexicon.gendered().get(word)
    if other is None or word in (*lexicon.pronouns(), "بقي", "بقيت"):
        return
    if _next(words, i, -1) in ("أن", "كم", "ما", "من"):
        return
    following = _next(words, i)
    # the noun beside a transitive verb may be its object: only a name is sure to be the subject
    subject = (lexicon.genders() if word in lexicon.intransitive() else lexicon.named()).get(following)
    free = not following.startswith("ال") and following not in {*lexicon.plurals(), *lexicon.collectives()}
    if subject is None and free and _next(words, i, -1) in _OPENERS:
        subject = lexicon.only_gender(words[:i])
    if subject == other[0]:
        yield other[1]


def pronoun_gender(rng: random.Random, words: list[str], i: int) -> Iterator[str]:
    """A pronoun, demonstrative or relative of the wrong gender."""
    word, following = words[i], _next(words, i)
    other = lexicon.gendered().get(word)
    owned = other and word in lexicon.pronouns() and len(word) > 4 and not re.match(r"[لبو]?[أإ]ن", word)
    if owned and lexicon.only_gender(words[:i]) == other[0]:
        yield other[1]
    for masculine, feminine in _GENDERED.items():
        for form, wrong in ((masculine, feminine), (feminine, masculine)):
            if word == form and (form in ("الذي", "التي") or following.startswith("ال")):
                yield wrong
    if re.fullmatch(r"(ل|و|ب)?[أإ]نه", word) and re.match(r"^(كان|ي)", following) and following in lexicon.gendered():
        yield word + "ا"
    if re.fullmatch(r"(ل|و|ب)?[أإ]نها", word) and re.match(r"^(كانت|ت)", following) and following in lexicon.gendered():
        yield word[:-1]


def adjective_gender(rng: random.Random, words: list[str], i: int) -> Iterator[str]:
    """An adjective that disagrees with the noun before it."""
    word, noun = words[i], _next(words, i, -1)
    if not (_next(words, i, -2) in ("", *_BEFORE) or _next(words, i, -2) in lexicon.gendered()):
        return  # باب السيارة الجديدة: the noun may depend on another, which the adjective could describe
    other = lexicon.described().get(word.removeprefix("ال"))
    bare = noun.removeprefix("ال")
    agrees = other and other[0] == lexicon.genders().get(bare, lexicon.genders().get(noun))
    if agrees and word.startswith("ال") == noun.startswith("ال"):
        yield ("ال" if word.startswith("ال") else "") + other[1]
    elif re.fullmatch(r"ال.{2,}ية", word) and re.fullmatch(r"ال.{2,}(ة|ات)", noun):
        yield word[:-1]


def definiteness(rng: random.Random, words: list[str], i: int) -> Iterator[str]:
    """An adjective without the article of its noun, or the article on the first noun of a construct."""
    word, before = words[i], _next(words, i, -1)
    known = word.removeprefix("ال") in lexicon.described() or (word.endswith("ية") and before.endswith(("ة", "ات")))
    # without a preposition before the noun the adjective could be a predicate
    known = known and before.startswith("ال") and _next(words, i, -2) in _BEFORE
    if word.startswith("ال") and len(word) > 4 and known:
        yield word[2:]
    if word in lexicon.constructs() and _next(words, i).startswith("ال") and len(_next(words, i)) > 3:
        yield "ال" + word


def number(rng: random.Random, words: list[str], i: int) -> Iterator[str]:
    """The counted noun in the wrong number or case, or the number in the wrong gender."""
    word, before = words[i], _next(words, i, -1)
    if word in _UNITS and len(_next(words, i)) > 2 and _next(words, i) not in ("عشر", *_BEFORE):
        yield _UNITS[word]
    longer = {short: long for long, short in _UNITS.items()}
    if word in longer and (_next(words, i) in lexicon.plurals() or _next(words, i).endswith("ات")):
        yield longer[word]
    singular = lexicon.plurals().get(word)
    if before.isdigit() and singular and 3 <= int(before) % 100 <= 10:
        yield singular
        yield accusative(singular)
    bare = word.removesuffix("ا").removesuffix("ً") if word.endswith(("ًا", "اً")) else word
    counted = before == "كم" or (before.isdigit() and int(before) % 100 > 10)
    if counted and bare.removesuffix("ا") in lexicon.singulars():
        yield lexicon.singulars()[bare.removesuffix("ا")]


def case(rng: random.Random, words: list[str], i: int) -> Iterator[str]:
    """A lost accusative ending; the nominative of a sound plural or a dual after a preposition; a verb after لم."""
    word, before = words[i], _next(words, i, -1)
    if word.endswith(("ًا", "اً")) and len(word) > 4:
        yield word[:-2]
    if before in _BEFORE and re.fullmatch(r"ال.{3,}ين", word) and word.removeprefix("ال")[:-2] in lexicon.people():
        yield word[:-2] + "ون"
    if before in ("لم", "ولم") and word in _JUSSIVE:
        yield _JUSSIVE[word]
    if before in ("لم", "لن", "أن", "ولم", "ولن") and re.fullmatch(r"[يت].{2,}وا", word):
        yield word[:-1] + "ن"


def preposition(rng: random.Random, words: list[str], i: int) -> Iterator[str]:
    """A preposition that the verb shortly before it does not take."""
    for back in (1, 2, 3):
        governor = _next(words, i, -back)
        if governor == "":
            return
        right, wrong = lexicon.governed().get(governor, ("", ()))
        if right == words[i]:
            yield rng.choice(wrong)
            return


def particle(rng: random.Random, words: list[str], i: int) -> Iterator[str]:
    """أن after a verb of saying, إن after one of thinking."""
    word, near = words[i], words[max(0, i - 3) : i]
    said = any(re.fullmatch(r"(و|ف)?(قال|قالت|يقول|تقول|يقال|قالوا|أقول|نقول)", other) for other in near)
    if re.fullmatch(r"إن(ه|ها|هم|ك|ني|نا)?", word) and said:
        yield "أ" + word[1:]
    elif re.fullmatch(r"أن(ه|ها|هم|ك|ني|نا)?", word) and near and near[-1] and not said and word != "أنا":
        yield "إ" + word[1:]


RULES: dict[str, Rule] = {
    "particle": particle,
    "hamza": hamza,
    "ta_marbuta": ta_marbuta,
    "alif_maqsura": alif_maqsura,
    "verb_gender": verb_gender,
    "pronoun_gender": pronoun_gender,
    "adjective_gender": adjective_gender,
    "definiteness": definiteness,
    "number": number,
    "case": case,
    "preposition": preposition,
}
SPELLING = ("hamza", "ta_marbuta", "alif_maqsura")
"""Kinds of error that a look at the word alone finds."""
