"""Rehearse a tier from end to end on made-up models under the real ids: no hub, no GPU, no gigabytes.

    python workflow/rehearse.py [--tier full] [--core] [--folder runs/rehearsal] [--fresh]

What is rehearsed is the unmodified code: fetching from a hub on this machine (gated ids too), then, offline, the
`llmini` command, the whole grid through Snakemake, collection and the report. Records are of the tier ``rehearsal``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from llmini.settings import UserError, root

COMMANDS = (
    ["humain-ai/ALLaM-7B-Instruct-preview", "--quant", "w8a8"],
    ["google/gemma-3-12b-it", "--prune", "wanda", "--quant", "w4a16"],
    ["QCRI/Fanar-1-9B-Instruct", "--quant", "w4a16_rtn"],
)


def main() -> int:
    parser = argparse.ArgumentParser(description="Rehearse a tier on made-up models.")
    parser.add_argument("--tier", default="full", choices=("full", "small"))
    parser.add_argument("--core", action="store_true", help="the grid's core alone")
    parser.add_argument("--folder", type=Path, default=root() / "runs" / "rehearsal", help="where all of it goes")
    parser.add_argument("--fresh", action="store_true", help="begin anew instead of going on")
    options = parser.parse_args()
    try:
        return rehearse(options.folder.absolute(), options.tier, options.core, options.fresh)
    except UserError as fault:
        print(f"rehearse: {fault}", file=sys.stderr)
        return 2


def rehearse(folder: Path, tier: str, core: bool, fresh: bool) -> int:
    """Lay, serve, fetch, run; returns the exit code of what failed first, or 0."""
    from llmini.rehearsal import checkout, corpora, hub, lay, shapes

    began = time.time()
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    served = lay.lay(folder / "hub")
    scratch = checkout.make(folder / "checkout")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGINGFACE_"))},
        **corpora.write(folder / "corpora"), "HF_HOME": str(folder / "home"), "LLMINI_ROOT": str(scratch),
        "PYTHONPATH": str(scratch / "lib"), "TQDM_DISABLE": "1", "LLMINI_DEVICE": os.environ.get("LLMINI_DEVICE", ""),
    }  # fmt: skip
    print(f"[{time.time() - began:6.0f} s] fetching from {served.relative_to(folder)}", flush=True)
    with hub.serve(served, shapes.GATED) as address:
        online = {**environment, "HF_ENDPOINT": address}
        refused = call([*LLMINI, "--fetch", "--tier", tier], scratch, online)
        if refused == 0:
            raise UserError("gated models were given to someone who accepted no licence: mend llmini.rehearsal.hub")
        if code := call([*LLMINI, "--fetch", "--tier", tier], scratch, {**online, "HF_TOKEN": hub.TOKEN}):
            return code
        if tier == "full":
            for repository in ("QCRI/Fanar-1-9B-Instruct",):
                program = f"from llmini import models; models.locate({repository!r}, 'full')"
                call([sys.executable, "-c", program], scratch, online)
    offline = {**environment, "HF_HUB_OFFLINE": "1"}
    for words in COMMANDS if tier == "full" else ():
        output = folder / "checkpoints" / words[0].partition("/")[2]
        print(f"[{time.time() - began:6.0f} s] llmini {' '.join(words)}", flush=True)
        if code := call([*LLMINI, *words, "--output", str(output), "--overwrite"], scratch, offline):
            return code
    command = [sys.executable, "workflow/study.py", "--tier", tier, "--rehearsal", *([] if core else ["--all"])]
    if code := call(command, scratch, offline):
        return code
    print(f"rehearsed in {(time.time() - began) / 60:.1f} minutes: {scratch}/runs/{tier}/report/analysis.html")
    return 0


LLMINI = [sys.executable, "-m", "llmini.cli"]


def call(command: list[str], folder: Path, environment: dict[str, str]) -> int:
    """Run a command in the scratch checkout."""
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
