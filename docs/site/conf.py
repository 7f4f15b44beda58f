"""Sphinx settings of the site; docs/site/build.py writes the sources and starts Sphinx once for each language."""

import os
import re
import unicodedata
from pathlib import Path

from sphinx.search.en import SearchEnglish

HERE = Path(__file__).resolve().parent
ARABIC = os.environ.get("SITE_LANGUAGE") == "ar"

project = "كلفة الضغط" if ARABIC else "The cost of compression"
author = "The authors of this compendium"
language = "ar" if ARABIC else "en"
extensions = ["myst_nb"]
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header", "myst.xref_missing", "mystnb.unknown_mime_type", "misc.highlighting_failure"]
html_theme = "furo"
html_title = project
html_static_path = [str(HERE / "static")]
html_css_files = ["site.css"]
templates_path = [str(HERE / "templates")]
html_sidebars = {"**": ["sidebar/brand.html", "language.html", "sidebar/search.html", "sidebar/scroll-start.html",
                        "sidebar/navigation.html", "sidebar/scroll-end.html"]}  # fmt: skip
html_context = {"arabic": ARABIC}
html_show_sphinx = html_copy_source = html_show_sourcelink = False
html_search_language = "both"

# Both languages as one searches them: no vowel signs, one alef, ya and ta marbuta. The same in Python and JavaScript.
MARKS = re.compile("[\u064b-\u065f\u0670\u0640]")
SAME = str.maketrans("أإآٱىةؤئ", "ااااي" + "هوي")
SPLIT = """
var splitQuery = (query) => {
  const same = {"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ة": "ه", "ؤ": "و", "ئ": "ي"};
  return query.normalize("NFKC").replace(/[\\u064b-\\u065f\\u0670\\u0640]/g, "")
    .replace(/[أإآٱىةؤئ]/g, (letter) => same[letter])
    .split(/[^\\p{Letter}\\p{Number}_]+/gu).filter((term) => term);
};
"""


def plain(text: str) -> str:
    """Text as the search index keeps it."""
    return MARKS.sub("", unicodedata.normalize("NFKC", text)).translate(SAME)


class Both(SearchEnglish):
    """English search whose words may be Arabic."""

    lang = "both"
    language_name = "English"  # whose stemmer the page runs
    js_splitter_code = SPLIT

    def split(self, input: str) -> list[str]:
        words = super().split(plain(input))
        return words + [word[2:] for word in words if word.startswith("ال") and len(word) > 4]


def direction(app, fault) -> None:
    """Right to left: every page of the Arabic build."""
    if fault or not ARABIC:
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf8")
        text = re.sub(r'<html([^>]*) lang="ar"', r'<html\1 lang="ar" dir="rtl"', text, count=1)
        page.write_text(text, encoding="utf8")


def setup(app) -> None:
    app.add_search_language(Both)
    app.connect("build-finished", direction)
