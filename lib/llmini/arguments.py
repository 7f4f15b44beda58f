"""The command line of `llmini`: its options and its help."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from llmini import __version__
from llmini.settings import UserError

EXAMPLES = """\
examples:
  llmini allam_7b --quant w4a16                       the pocket model, 4-bit GPTQ, in seconds on a CPU
  llmini allam_7b --prune wanda --quant w8a16 --bench prune, quantize, then measure size, memory and speed
  llmini Qwen/Qwen3-8B --quant w8a8 --plan            what it would take here; fetches nothing but config.json
  llmini ./my-model --prune sparsegpt --prune-config sparsity=0.7,sparsity_profile=owl
  llmini ./my-model --prune wanda --prune-config mask_structure=2:4 --calibration notes.txt
  llmini --convert ./old-pickles --output ./new       pytorch_model.bin to safetensors
"""


class Parser(argparse.ArgumentParser):
    """argparse whose faults are UserErrors, so that they too are one line."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see `llmini --help`")


def parser() -> Parser:
    """The command line."""
    from llmini.compress import prune, quantize

    def listing(title: str, methods: Any) -> str:
        rows = [f"  {name:<11}{methods[name] if hasattr(methods, 'keys') else ''}".rstrip() for name in methods]
        return "\n".join([title, *rows])

    epilog = "\n\n".join([listing("--quant:", quantize.METHODS), listing("--prune:", prune.METHODS), EXAMPLES])
    cli = Parser(
        prog="llmini", usage="llmini MODEL [--quant METHOD] [--prune METHOD] [options]", add_help=False,
        allow_abbrev=False,
        description="Compress a language model, and see what that costs.", epilog=epilog,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=30, width=110),
    )  # fmt: skip
    what = cli.add_argument_group("what")
    what.add_argument("model", nargs="?", metavar="MODEL", help="a name from --list, a checkpoint folder, or a hub id")
    how = cli.add_argument_group("compression (prune first, then quantize)")
    how.add_argument("--quant", metavar="METHOD", help="quantize, see below")
    how.add_argument("--quant-config", metavar="K=V,…", help="group_size=128, block_size=128, damping=0.01, "
                     "smoothing_strength=0.5 (w8a8)")  # fmt: skip
    how.add_argument("--prune", metavar="METHOD", help="prune, see below")
    how.add_argument("--prune-config", metavar="K=V,…", help="sparsity=0.5, mask_structure=N:M, sparsity_profile=owl, "
                     "block_size=128, damping=0.01")  # fmt: skip
    text = cli.add_argument_group("calibration text")
    text.add_argument("--calibration", metavar="SOURCE", help="world, c4, wikitext2, or a .txt or .jsonl file "
                      "(default: world for pocket models, else c4)")  # fmt: skip
    text.add_argument("--calibration-language", metavar="LANG", default="en", help="en, ar or mixed (default: en)")
    text.add_argument("--samples", type=int, metavar="N", help="windows of text (default: 96 pocket, else 128)")
    text.add_argument("--length", type=int, metavar="N", help="tokens a window (default: 512 pocket, else 2048)")
    text.add_argument("--seed", type=int, default=0, metavar="N", help="which windows are taken (default: 0)")
    out = cli.add_argument_group("output")
    out.add_argument("--output", metavar="DIR", help="checkpoint folder (default: ./MODEL-METHODS)")
    out.add_argument("--overwrite", action="store_true", help="replace a folder that llmini wrote")
    out.add_argument("--bench", action="store_true", help="measure size, memory and tokens per second of the result, "
                     "or of MODEL itself when no method is given")  # fmt: skip
    rest = cli.add_argument_group("more")
    rest.add_argument("--plan", action="store_true", help="print sizes, memory and time to expect; loads no weights")
    rest.add_argument("--convert", action="store_true", help="rewrite pickled weights in folder MODEL as safetensors")
    rest.add_argument("--device", metavar="NAMES", help="with --plan and --tier but no MODEL: plan the whole grid of "
                      "that tier, for here, a100, t4, … (several: a100,t4; default: here)")  # fmt: skip
    rest.add_argument("--core", action="store_true", help="with --plan or --fetch of a tier: its core alone")
    rest.add_argument("--fetch", action="store_true", help="download what the grid of --tier reads: models and data")
    rest.add_argument("--tier", metavar="TIER", help="pocket, small or full: where names are looked up "
                      "(default: the first tier that has the name)")  # fmt: skip
    rest.add_argument("--trust-remote-code", action="store_true", help="run the checkpoint's own Python code")
    rest.add_argument("--list", action="store_true", help="print the models and the methods")
    rest.add_argument("--help", "-h", action="help", help="print this")
    rest.add_argument("--version", action="version", version=f"llmini {__version__}",
                      help="print the version")  # fmt: skip
    return cli
