"""Build the static site: English and Arabic pages from the committed notebooks, search, light and dark, no network.

    python docs/site/build.py [--out runs/site]      (make site)

The notebooks are shown as committed, never run. ACAI is copied beside the pages when its third-party code is there.
"""

from __future__ import annotations

import argparse
import base64
import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from latex2mathml.converter import convert

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RTL = re.compile(r'<(p|h2|div)\s+dir="rtl"[^>]*>(.*?)</\1>', re.DOTALL)
LEFT = {"node_modules", "tests", "scripts", "__pycache__"}
GROUPS = (("01_quant", "Quantization · التكميم"), ("02_prune", "Pruning · التقليم"),
          ("03_kd", "Distillation · التقطير"), ("04_finetune", "Fine-tuning · الضبط الدقيق"),
          ("05_browser", "Browser · المتصفّح"))  # fmt: skip
DOCUMENTS = {"contributing": "CONTRIBUTING.md", "data_statements": "docs/data_statements.md",
             "results": "data/results/README.md", "model_card": "docs/model_card.md", "acai_readme": "acai/README.md",
             "cluster": "docs/cluster.md"}  # fmt: skip
FRAME = """# ACAI

The offline application of this compendium: an Arabic-first chat with six agents over a compressed language model. It
runs in this page; nothing leaves the device.

<div id="acai"></div>
<noscript>ACAI needs JavaScript.</noscript>
<script>
  const place = document.getElementById('acai');
  if (location.protocol === 'file:') place.textContent =
    'A file may not start workers, so ACAI needs a server on this machine: make site-serve, then open this page there.';
  else place.innerHTML = '<iframe class="acai-frame" title="ACAI" src="acai/index.html"></iframe>' +
    '<p><a href="acai/index.html">Open it in a window of its own</a>, where it can be installed.</p>';
</script>
"""
MISSING = "# ACAI\n\nThis site was built without it: `make acai`, then `make site` again.\n"


def notebooks() -> list[Path]:
    """The committed notebooks, the report first."""
    return sorted((ROOT / "notebooks").rglob("*.ipynb"), key=lambda path: (path.parent != ROOT / "notebooks", path))


def slug(path: Path) -> str:
    """``quant_01_quantization``: a page's name."""
    family = path.parent.name.partition("_")[2]
    return f"{family}_{path.stem}" if family and path.parent.name != "notebooks" else path.stem


def heading(notebook: nbformat.NotebookNode) -> str:
    return re.search(r"^# (.+)$", notebook.cells[0].source, re.MULTILINE)[1]


def mathml(source: str) -> str:
    """Formulas as MathML, which browsers draw without a script from elsewhere; code spans are left alone."""
    parts = re.split(r"(`[^`]*`)", source)

    def formulas(text: str) -> str:
        text = re.sub(r"\$\$(.+?)\$\$", lambda found: convert(found[1], display="block"), text, flags=re.DOTALL)
        return re.sub(r"(?<![\\$])\$([^$\n]+?)\$", lambda found: convert(found[1]), text)

    return "".join(part if part.startswith("`") else formulas(part) for part in parts)


def english(path: Path, target: Path) -> nbformat.NotebookNode:
    """A notebook as the site shows it: pictures with their words, formulas as MathML, no empty outputs."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = mathml(cell.source)
            continue
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                alt = output.metadata.get("image/png", {}).get("alt") or f"Figure of: {heading(notebook)}"
                cell.metadata["mystnb"] = {"image": {"alt": alt}}
                output.data.pop("text/html", None)
    notebook.metadata.pop("widgets", None)
    nbformat.write(notebook, target)
    return notebook


def arabic(path: Path, source: Path) -> str:
    """The Arabic page of a notebook: its right-to-left words, its figures, and the Arabic halves of its answers."""
    notebook, name, out = nbformat.read(path, as_version=4), slug(path), []
    title = next((found[2] for cell in notebook.cells for found in RTL.finditer(cell.source) if found[1] == "h2"), name)
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            out += [f"<{found[1]}>{found[2]}</{found[1]}>" for found in RTL.finditer(cell.source)]
            continue
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                picture = source / "_pictures" / f"{name}_{number}.png"
                picture.parent.mkdir(exist_ok=True)
                picture.write_bytes(base64.b64decode(data["image/png"]))
                words = output.metadata.get("image/png", {}).get("alt") or f"شكل من: {title}"
                alt = html.escape(html.unescape(words), quote=True)
                out.append(f'<img src="_pictures/{picture.name}" alt="{alt}">')
            elif "text/html" in data:
                out += [f"<{found[1]}>{found[2]}</{found[1]}>" for found in RTL.finditer(data["text/html"])]
    body = "\n\n".join(f'<div dir="rtl" lang="ar">\n{part}\n</div>' for part in out[1:] if part.strip())
    return f"# {html.unescape(re.sub('<[^>]+>', '', title))}\n\n{body}\n"


def tree(title: str, pages: list[str]) -> str:
    return f"```{{toctree}}\n:caption: {title}\n:maxdepth: 1\n\n" + "\n".join(pages) + "\n```\n"


def links(text: str) -> str:
    """Links into the repository become code: the site holds pages, not files."""
    return re.sub(r"\[([^\]]+)\]\((?!https?:|#|mailto:)[^)]+\)", r"\1", text)


def sources(out: Path) -> dict[str, Path]:
    """Write the sources of both languages; language -> their folder."""
    folders = {code: out / "source" / code for code in ("en", "ar")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    english_source, arabic_source = folders["en"], folders["ar"]
    names: dict[str, list[str]] = {}
    for path in notebooks():
        english(path, english_source / f"{slug(path)}.ipynb")
        (arabic_source / f"{slug(path)}.md").write_text(arabic(path, arabic_source), encoding="utf8")
        names.setdefault(path.parent.name, []).append(slug(path))
    told = [(key, ROOT / file) for key, file in DOCUMENTS.items() if (ROOT / file).exists()]
    for key, file in told:
        text = file.read_text(encoding="utf8")
        if key == "model_card":  # the template is shown as it is
            text = f"# Model card, the template\n\n```text\n{text}\n```\n"
        (english_source / f"{key}.md").write_text(links(text), encoding="utf8")
    ready = (ROOT / "acai" / "vendor").is_dir()
    for code, folder in folders.items():
        text = FRAME if ready else MISSING
        text = text if code == "en" else text.replace('"acai/', '"../acai/')
        (folder / "acai.md").write_text(text, encoding="utf8")
    readme = links((ROOT / "README.md").read_text(encoding="utf8"))
    lead = re.sub(r"<!-- headline -->.*?<!-- headline -->", "", readme.split("## ")[0], flags=re.DOTALL)
    picture = ROOT / "figures" / "pocket" / "pareto.png"
    for folder in folders.values():
        shutil.copy(picture, folder / "headline.png")
    families = [(title, names[key]) for key, title in GROUPS if key in names]
    told_names = [key for key, _ in told]
    (english_source / "index.md").write_text("\n".join([
        lead, "![Size against accuracy kept, in Arabic and in English](headline.png)\n",
        tree("The report", names.get("notebooks", [])), *(tree(title, pages) for title, pages in families),
        tree("Reuse", told_names), tree("Application", ["acai"])]), encoding="utf8")  # fmt: skip
    words = "\n\n".join(f'<div dir="rtl" lang="ar"><p>{found[2]}</p></div>' for found in RTL.finditer(readme))
    (arabic_source / "index.md").write_text("\n".join([
        "# كم يكلّف ضغطُ نموذجٍ لغوي عربيتَه؟\n", words, "\n![الحجم والدقة](headline.png)\n",
        tree("التقرير", names.get("notebooks", [])),
        *(tree(title.split(" · ")[1], pages) for title, pages in families),
        tree("التطبيق", ["acai"])]), encoding="utf8")  # fmt: skip
    return folders


def build(out: Path) -> Path:
    """Write the whole site; returns the folder that holds index.html. Raises CalledProcessError when Sphinx fails."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    target = out / "html"
    for code, source in sources(out).items():
        place = target if code == "en" else target / "ar"
        subprocess.run([sys.executable, "-m", "sphinx", "-b", "html", "-q", "-j", "1", "-c", str(HERE),
                        "-d", str(out / "doctrees" / code), str(source), str(place)],
                       check=True, env={**os.environ, "SITE_LANGUAGE": code, "PYTHONWARNINGS": "ignore"})  # fmt: skip
    if (ROOT / "acai" / "vendor").is_dir():
        shutil.copytree(ROOT / "acai", target / "acai", ignore=lambda folder, names: LEFT & set(names))
    pictures = out / "source" / "ar" / "_pictures"
    if pictures.is_dir():  # raw HTML names them, so Sphinx does not copy them
        shutil.copytree(pictures, target / "ar" / "_pictures")
    return target


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the static site.")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "site")
    folder = build(parser.parse_args().out.resolve())
    print(folder / "index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
