"""ACAI's wasm form against wllama (llama.cpp in wasm): tokens a second, load time, download, resident memory.

Both answer the same prompt, greedily, with as many tokens and threads, on the same weights, in turns, each in a
Chromium of its own. ACAI downloads GPTQ's 4-bit integers and expands them to fp32 at load; wllama computes on Q4_0
blocks (its embeddings Q8_0) as downloaded. So this compares what a user waits for after a 4-bit download, at the price
of memory, which stands beside; it is no claim about 4-bit arithmetic. wllama's rate is by its own clock, ACAI's by the
page's.
Limit: 1.5x wllama's tokens a second on Q4_0. wllama on Q8_0, an 8-bit download, stands beside without a limit.

Models: the pocket model that ships, and random weights in the shape of SmolLM-135M (`browser_models.shape`).

    python benchmarks/browser.py [--cases pocket 135m] [--threads 1 2] [--rounds 3]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from browser_models import HERE, ROOT, WLLAMA, peers, prepare
from results import write

TITLE = "## In the browser: ACAI's wasm form against wllama"
LIMIT = 1.5
NUMBERS = ("rate", "load", "first", "memory")
TOKENS = {"pocket": 384, "135m": 96}  # so many that a turn takes seconds
PROMPTS = {"pocket": "ما عاصمة البحرين؟", "135m": "the bank of a town lent ten pearls to its old ship"}
sys.path.insert(0, str(ROOT / "tests"))


@contextlib.contextmanager
def page(home: Path) -> Iterator[tuple[Any, Path]]:
    """The benchmark's page in a fresh Chromium, and its profile; the server isolates the page, which threads need."""
    import acai

    with tempfile.TemporaryDirectory() as scratch:
        place = acai.site(Path(scratch) / "site", tests=False)
        for name in ("index.html", "bench.js"):
            shutil.copyfile(HERE / name, place / name)
        (place / "wllama").symlink_to(WLLAMA)
        (place / "gguf").symlink_to(home / "gguf")
        profile = Path(scratch) / "profile"
        with serving(acai, place, home / "onnx") as url, acai.browser(profile) as context:
            found = context.new_page()
            found.goto(url)
            found.wait_for_function("window.bench")
            yield found, profile


@contextlib.contextmanager
def serving(acai: Any, root: Path, model: Path) -> Iterator[str]:
    """ACAI's server without its policy, under which wllama's workers out of blobs could not start, and with links."""
    import threading

    serve = acai.module("serve")
    del serve.HEADERS["Content-Security-Policy"]

    class Handler(serve.Handler):
        def locate(self) -> Path | None:
            path = self.server.root / self.path.split("?")[0].lstrip("/")
            return path if self.path.startswith(("/wllama/", "/gguf/")) and path.is_file() else super().locate()

    server = serve.Server(0, root, model, [])
    server.RequestHandlerClass = Handler
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def resident(profile: Path) -> int:
    """Bytes of memory that the page's process, workers included, has for itself (no shared libraries): the largest of
    the renderers below the Chromium that runs with this profile."""
    commands, parents = {}, {}
    for home in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            commands[int(home.name)] = (home / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            parents[int(home.name)] = int((home / "stat").read_text().rpartition(")")[2].split()[1])
    roots = {pid for pid, command in commands.items() if f"--user-data-dir={profile}" in command}
    sizes = []
    for pid, command in commands.items():
        above = pid
        while above and above not in roots:
            above = parents.get(above, 0)
        if above and "--type=renderer" in command:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            sizes.append(1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_")))
    return max(sizes)


def measure(home: Path, engine: str, how: dict[str, Any], prompt: str, tokens: int) -> dict[str, Any]:
    """Load and answer twice in a fresh browser; the second answer counts. wllama gets the prompt in its template, which
    ACAI puts it into itself."""
    asked = prompt if engine == "acai" else f"<s><|user|>\n{prompt}<|end|>\n<|assistant|>\n"
    with page(home) as (found, profile):
        before = resident(profile)
        told = found.evaluate("([engine, how]) => bench.load(engine, how)", [engine, how])
        found.evaluate("([prompt, count]) => bench.answer(prompt, count)", [asked, 8])
        answer = found.evaluate("([prompt, count]) => bench.answer(prompt, count)", [asked, tokens])
        if answer["count"] != tokens or told["threads"] != how["threads"]:
            raise SystemExit(f"browser: {engine} wrote {answer['count']} tokens on {told['threads']} threads")
        return {"rate": answer["rate"], "load": told["load"], "memory": resident(profile) - before,
                "first": answer["first"], "text": answer["text"]}  # fmt: skip


def same(case: str, runs: dict[str, list[dict[str, Any]]]) -> None:
    """A GGUF that is another model would be as fast: of trained weights the 8-bit one gives the answer that ACAI gives.

    Both are made to write on after its end, where rounding decides what comes: only the first line is compared.
    """
    own, other = (runs[name][0]["text"].strip() for name in ("ACAI, q4dq", "wllama, Q8_0"))
    answer = own.partition("\n")[0]
    if case == "pocket" and not (answer and other.startswith(answer)):
        raise SystemExit(f"browser: the engines do not run the same model: {own[:60]!r} against {other[:60]!r}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", nargs="+", default=list(PROMPTS), choices=PROMPTS)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.environ.setdefault("TQDM_DISABLE", "1")
    peers()
    lines, held = [], True
    for case in options.cases:
        home = prepare(case)
        for threads in options.threads:
            engines = {"ACAI, q4dq": ("acai", {"threads": threads}),
                       **{f"wllama, {kind}": ("wllama", {"threads": threads, "file": f"{kind}.gguf"})
                          for kind in ("Q4_0", "Q8_0")}}  # fmt: skip
            runs: dict[str, list[dict[str, Any]]] = {name: [] for name in engines}
            for _ in range(options.rounds):
                for name, (engine, how) in engines.items():
                    runs[name].append(measure(home, engine, how, PROMPTS[case], TOKENS[case]))
                    print(case, threads, name, json.dumps(runs[name][-1], ensure_ascii=False), flush=True)
            same(case, runs)
            found = {name: {key: statistics.median(run[key] for run in all_runs) for key in NUMBERS}
                     for name, all_runs in runs.items()}  # fmt: skip
            ratio = found["ACAI, q4dq"]["rate"] / found["wllama, Q4_0"]["rate"]
            held &= ratio >= LIMIT
            lines += [row(case, threads, name, found[name], size(home, name), ratio) for name in engines]
    write(TITLE, [*head(options), *lines, "", *tail()])
    return 0 if held else 1


def size(home: Path, name: str) -> int:
    """Bytes of the model's download."""
    if name.startswith("ACAI"):
        return json.loads((home / "onnx/manifest.json").read_text(encoding="utf8"))["forms"]["q4dq"]["download"]
    return (home / f"gguf/{name.split()[-1]}.gguf").stat().st_size


def row(case: str, threads: int, name: str, found: dict[str, float], download: int, ratio: float) -> str:
    compared = f"{ratio:.2f}x | {LIMIT}x | {'yes' if ratio >= LIMIT else 'NO'}" if name == "wllama, Q4_0" else " | | "
    return (f"| {case} | {threads} | {name} | {found['rate']:.1f} | {found['load']:.2f} | {found['first']:.3f} | "
            f"{download / 2**20:.1f} | {found['memory'] / 2**20:.0f} | {compared} |")  # fmt: skip


def head(options: argparse.Namespace) -> list[str]:
    import acai

    said = subprocess.run([acai.chromium(), "--version"], capture_output=True, text=True).stdout
    chrome = said.strip().split(" built")[0]
    peer = json.loads((HERE / "package.json").read_text())["dependencies"]["@wllama/wllama"]
    columns = ("model", "threads", "engine, download", "tokens/s", "load, s", "first token, s", "model, MiB",
               "memory, MiB", "ratio", "limit", "held")  # fmt: skip
    written = " and ".join(f"{count} tokens ({name})" for name, count in TOKENS.items())
    return [
        "", "`python benchmarks/browser.py`", "",
        f"Medians of {options.rounds} turns of {written}",
        "written greedily after the same prompt, each turn",
        f"in a fresh {chrome} on {platform.machine()} with {os.cpu_count()} cores; wllama {peer}. The ratio",
        "is ACAI's tokens a second over wllama's on Q4_0.", "",
        f"| {' | '.join(columns)} |", "|---" * len(columns) + "|",
    ]  # fmt: skip


def tail() -> list[str]:
    runtime = ("ort/ort.wasm.bundle.min.mjs", "ort/ort-wasm-simd-threaded.wasm", "transformers.min.js")
    own = sum((ROOT / f"acai/vendor/{name}").stat().st_size for name in runtime) / 2**20
    other = sum((WLLAMA / name).stat().st_size for name in ("wasm/wllama.wasm", "index.js")) / 2**20
    return [
        f"Besides the model, ACAI downloads {own:.1f} MiB of runtime and wllama {other:.1f} MiB, uncompressed.",
        "ACAI's form is a 4-bit download that is widened to fp32 when it is loaded: its rate is that of fp32",
        "arithmetic, and no speed of 4-bit arithmetic is claimed. Memory is private memory of the page's process above",
        "the empty page. Load is from the first request to the model ready, from this machine's own server; ACAI's",
        "holds every file against its sha256 and the model against a self-test as well. Q8_0 is an 8-bit download,",
        "without a limit.",
    ]


if __name__ == "__main__":
    sys.exit(main())
