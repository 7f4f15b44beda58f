"""Small files in the formats of the corpora. Every sentence was written for this project; none is from a corpus."""

import json

MAGOLD = """;;; SENTENCE باچر بنروح البحر .
;;WORD باچر
;;LENGTH 4
;;OFFSET 0
;;SVM_PREDICTIONS: باچر diac:باچِر asp:na pos:adv
*1.0312 diac:باچِر lex:باچِر_1 bw:باچر/ADV gloss:tomorrow pos:adv prc3:0 per:na asp:na gen:na num:na
_0.2140 diac:باچر lex:باچر_2 gloss:early pos:adj gen:m num:s
--------------
;;WORD بنروح
*0.98 diac:بَنْرُوح lex:راح_1 gloss:go pos:verb per:1 asp:i gen:m num:p
--------------
;;WORD البحر
*0.97 diac:البَحَر lex:بَحَر_1 gloss:sea pos:noun prc0:Al_det gen:m num:s
--------------
;;WORD .
*1.0 diac:. lex:._0 gloss:. pos:punc
--------------
SENTENCE BREAK
--------------
;;WORD زين
NO-ANALYSIS [زين]
--------------
;;WORD هني
*0.91 diac:هْنِي lex:هْنِي_1 gloss:here pos:adv
--------------
SENTENCE BREAK
--------------
"""
TABLE = """sentence_index,word_index,word,lex,pos,asp,gen,num
0,0,يدتي,يَدَّة,noun,na,f,s
0,1,طبخت,طَبَخ,verb,p,f,s
0,2,",",",",punc,na,na,na
1,0,السمچ,سِمَچ,noun,na,m,p
1,1,طازج,طازَج,adj,na,m,s
"""
TAGGED = """وين adv_interrog
رايح adj
؟ punc

السوق noun

"""
M2 = """S ذهبت الى المدرسه و عدت الى البيت
A 1 2|||edit|||إلى|||REQUIRED|||-NONE-|||0
A 2 3|||edit|||المدرسة|||REQUIRED|||-NONE-|||0
A 3 3|||add_token_before|||،|||REQUIRED|||-NONE-|||0
A 3 5|||merge|||وعدت|||REQUIRED|||-NONE-|||0
A 5 6|||edit|||إلى|||REQUIRED|||-NONE-|||0
A 7 7|||add_token_before|||.|||REQUIRED|||-NONE-|||0

S قرأت كتابا كتابا مفيدا فيالمكتبة
A 2 3|||delete_token||||||REQUIRED|||-NONE-|||0
A 4 5|||split|||في المكتبة|||REQUIRED|||-NONE-|||0
A 3 4|||edit|||جديدا|||REQUIRED|||-NONE-|||1

S هذا نص سليم
A -1 -1|||noop|||-NONE-|||REQUIRED|||-NONE-|||0

"""
M2_CORRECT = ["ذهبت إلى المدرسة ، وعدت إلى البيت .", "قرأت كتابا مفيدا في المكتبة", "هذا نص سليم"]
SENT = ["ذهبت الى المدرسه", "قرأت كتابا مفيدا فيالمكتبة", "هذا نص سليم"]
COR = ["ذهبت إلى المدرسة", "قرأت كتابا مفيدا في المكتبة", "هذا نص سليم"]
SRT = """1
00:00:01,000 --> 00:00:03,200
<i>- شلونك يا خوي؟</i>
- الحمد لله، وإنت شخبارك؟

2
00:00:03,400 --> 00:00:05,000
(صوت باب)

3
00:00:05,100 --> 00:00:07,000
{\\an8}وين بتروح اليوم؟

بروح السوق عقب الصلاة

4
00:01:20,000 --> 00:01:22,000
تعالوا تغدوا، السمچ جاهز
"""
VTT = """WEBVTT - حلقة
Kind: captions
Language: ar

NOTE this is a remark
of two lines

STYLE
::cue { color: white }

first
00:01.000 --> 00:03.000 align:start position:0%
<v علي>شفيك زعلان &amp; ساكت؟

00:03.000 --> 00:05.000
<v علي>شفيك زعلان &amp; ساكت؟
<00:03.500><c>ماكو شي، تعبان شوي</c>
"""
SENTENCES = ["وين رايح اليوم يا خوي", "باچر بنروح السوق مع الربع", "العيش والسمچ على الغدا وايد زين",
             "سكّرنا الدريشة عن الغبار", "شريت بيزات حق اليهال من البنك"]  # fmt: skip
NOVEL = ["الفصل الأول", "*****", "", *[f"قعدت أم سالم في الحوش تنطر ولدها وهي تعد خطواته رقم {i}" for i in range(30)]]
QUESTIONS = [{"question": "ما جمع كتاب؟", "answer": "كُتُب"},
             {"instruction": "أعرب ما تحته خط.", "input": "جاء الطالبُ", "output": "فاعل مرفوع"}]  # fmt: skip
SEGMENTS = {"text": "", "segments": [
    {"id": 0, "start": 0.0, "end": 2.5, "text": " هلا والله حياكم"},
    {"id": 1, "start": 2.5, "end": 4, "text": "[موسيقى]"},
    {"id": 2, "start": 30.0, "end": 33.0, "text": " تفضلوا اقعدوا وياي هني"}]}  # fmt: skip
MARKED = "بِسْمِ اللهِ ﷺ ﻻ حـــول وٱلأرضُ ﻣﺤﻤﺪ"
"""Diacritics, tatweel, a ligature, presentation forms."""


def write(path, text, encoding="utf8"):
    """Text, lines or JSON values to a file, its folder made; the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(text, str | bytes):
        text = "\n".join(row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in text) + "\n"
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def qalb(folder):
    """The layout of QALB's release: a training part given twice, and parts that nobody trains on."""
    train = folder / "data" / "2014" / "train" / "QALB-2014-L1-Train"
    write(train.with_suffix(".sent"), [f"S_{i:02d} {text}" for i, text in enumerate(SENT)])
    write(train.with_suffix(".cor"), [f"S_{i:02d} {text}" for i, text in enumerate(COR)])
    write(train.with_suffix(".m2"), M2)
    write(folder / "data" / "2014" / "test" / "QALB-2014-L1-Test.m2", "S نص الامتحان السري\n\n")
    write(folder / "sampleTestFiles" / "testSample.sent", ["S_99 نص الامتحان السري"])
    write(folder / "README.txt", "about")
    return folder
