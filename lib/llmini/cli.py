"""The `llmini` command: compress a language model, plan it, or measure what it costs to run.

Results go to stdout; stderr holds progress bars on a terminal and, for a fault, one line. Exit codes: 0 done, 2 a fault
the user can mend, 1 a fault of ours, 130 Ctrl-C, 143 terminated.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmini import arguments as command_line
from llmini import models, settings
from llmini.settings import UserError

if TYPE_CHECKING:
    import argparse

SMALL = 100e6  # a checkpoint below this many parameters is calibrated as the pocket models are


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    stops: list[KeyboardInterrupt] = []
    try:
        with quiet(), noticed(stops):
            return command(command_line.parser().parse_args(argv), stops)
    except UserError as fault:
        return say_fault(" ".join(str(fault).split()), 2)
    except KeyboardInterrupt as fault:
        return stopped(fault)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return say_fault("out of memory: see `--plan` for what the model needs", 1)
    except Exception as fault:
        if stop := interruption(fault) or next(iter(stops), None):  # an import in its middle calls it a missing module
            return stopped(stop)
        if os.environ.get("LLMINI_DEBUG"):
            raise
        text = " ".join(str(fault).split())[:300]
        return say_fault(f"internal error, {type(fault).__name__}: {text} (LLMINI_DEBUG=1 shows where)", 1)


@contextlib.contextmanager
def noticed(stops: list[KeyboardInterrupt]) -> Iterator[None]:
    """Within the block a Ctrl-C is also put into ``stops``: some imports drop the exception, or raise their own."""

    def stop(number: int, frame: object) -> None:
        stops.append(KeyboardInterrupt())
        raise stops[-1]

    before = signal.getsignal(signal.SIGINT)
    own = threading.current_thread() is threading.main_thread() and before is signal.default_int_handler
    if own:
        signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        if own:
            signal.signal(signal.SIGINT, before)


def interruption(fault: BaseException | None) -> KeyboardInterrupt | None:
    """The Ctrl-C or signal that lies anywhere behind a fault, if any."""
    if fault is None or isinstance(fault, KeyboardInterrupt):
        return fault
    return interruption(fault.__cause__) or interruption(fault.__context__)


def stopped(stop: KeyboardInterrupt) -> int:
    """Say that the command was stopped, and by which signal; returns the exit code."""
    name = str(stop)
    return say_fault(f"stopped{f' by {name}' if name else ''}: nothing was written", 143 if name else 130)


def say_fault(line: str, code: int) -> int:
    """Write the one line of a fault, and return the exit code."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    red, plain = ("\033[31m", "\033[0m") if sys.stderr.isatty() else ("", "")
    print(f"{red}llmini:{plain} {line}", file=sys.stderr)
    return code


def command(arguments: argparse.Namespace, stops: list[KeyboardInterrupt]) -> int:
    """Do what the arguments ask for; a Ctrl-C in ``stops`` that was dropped on the way counts at the next step."""
    if arguments.list:
        print(catalogue())
        return 0
    if arguments.fetch:
        return fetch(arguments)
    if arguments.plan and arguments.tier and not arguments.model:
        return plan_grid(arguments)
    if not arguments.model:
        raise UserError("name a MODEL: one from `llmini --list`, a folder, or a hub id; see `llmini --help`")
    if arguments.device:
        raise UserError("--device is for the plan of a whole grid: leave MODEL out, and give --plan and --tier")
    if arguments.convert:
        return convert(arguments)
    from llmini.compress import options

    asked = options.request(arguments.quant, arguments.prune, arguments.prune_config, arguments.quant_config)
    tier = settings.check_tier(arguments.tier) if arguments.tier else tier_of(arguments.model)
    output = Path(arguments.output or f"{Path(arguments.model).name}-{asked.slug}")
    if arguments.plan:
        from llmini.compress import plan

        print(plan.text(plan.plan(arguments.model, tier, asked, samples=arguments.samples, length=arguments.length,
                                  output=output, trust_remote_code=arguments.trust_remote_code)))  # fmt: skip
        return 0
    if not (asked.quant or asked.prune):
        if not arguments.bench:
            raise UserError("nothing to do: pass --quant, --prune, --bench or --plan")
        bench(arguments.model, tier, arguments.trust_remote_code)
        return 0
    from llmini.compress import checkpoint

    steps = Steps(stops)
    made = checkpoint.compress(
        arguments.model, output, tier=tier, quant=arguments.quant, prune=arguments.prune,
        prune_config=arguments.prune_config, quant_config=arguments.quant_config,
        calibration_source=arguments.calibration, calibration_language=arguments.calibration_language,
        samples=arguments.samples, length=arguments.length, seed=arguments.seed, overwrite=arguments.overwrite,
        trust_remote_code=arguments.trust_remote_code, say=steps,
    )  # fmt: skip
    steps.finish()
    summary(made, output)
    if arguments.bench:
        bench(str(made), tier, arguments.trust_remote_code)
    return 0


class Steps:
    """Prints each step as it begins, and how long the whole took; no step begins after a Ctrl-C in ``stops``."""

    def __init__(self, stops: Sequence[KeyboardInterrupt] = ()) -> None:
        self.start = time.perf_counter()
        self.stops = stops

    def __call__(self, line: str) -> None:
        if self.stops:
            raise self.stops[0]
        self.say(line)

    def finish(self) -> None:
        self.say("done")

    def say(self, line: str) -> None:
        print(f"[{time.perf_counter() - self.start:6.1f} s] {line}", flush=True)


def summary(made: Path, shown: Path) -> None:
    """Print the measured sizes of a checkpoint that was just written."""
    import json

    from llmini.compress import card

    recipe = json.loads((made / "llmini.json").read_text(encoding="utf8"))
    print(f"\n{recipe['label']}, {card.deeds(recipe)}\n")
    print(f"  {'':<15}{'this':>12}{'dense':>12}{'ratio':>9}")
    for key, meaning in card.SIZES.items():
        mine, theirs = recipe["sizes"][key], recipe["dense_sizes"][key]
        print(f"  {key:<15}{card.readable(mine):>12}{card.readable(theirs):>12}{theirs / mine:>8.2f}x  {meaning}")
    print(f"\n  written to {shown}: loads with AutoModelForCausalLM.from_pretrained")


def bench(model: str, tier: str, trust_remote_code: bool) -> None:
    """Load a checkpoint as anyone would, and print its size on disk, memory and speed."""
    from llmini.compress.card import readable
    from llmini.measure import cost

    folder = models.locate(model, tier, trust_remote_code=trust_remote_code)
    loaded, tokenizer = models.load(model, tier, trust_remote_code=trust_remote_code)
    found = cost.cost(loaded, tokenizer)
    disk = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    print(f"\n{model} on {settings.device()}\n\n  {'on disk':<20}{readable(disk)}")
    print(f"  {'peak memory':<20}{readable(found['peak_memory'])}")
    print(f"  {'tokens per second':<20}{found['tokens_per_second']:.1f}\n  {'latency':<20}{found['latency_ms']:.1f} ms")
    executes = "yes" if found["executes_compressed"] else "no"
    print(f"  {'executes the format':<20}{executes}" + (f": {found['note']}" if found.get("note") else ""))


def convert(arguments: argparse.Namespace) -> int:
    """``--convert``: pickled weights to safetensors."""
    from llmini.compress import convert as conversion

    source = Path(arguments.model)
    output = Path(arguments.output or f"{source.name}-safetensors")
    conversion.convert(source, output, overwrite=arguments.overwrite, trust_remote_code=arguments.trust_remote_code)
    print(f"written to {output}")
    return 0


def fetch(arguments: argparse.Namespace) -> int:
    """``--fetch``: everything that a tier's grid reads from the hub."""
    from llmini import fetch as fetching

    if arguments.model or not arguments.tier:
        raise UserError("--fetch downloads what a whole tier reads: give --tier small or full, and no MODEL")
    faults = fetching.fetch(settings.check_tier(arguments.tier), arguments.core)
    for line in faults:
        print(f"  missing: {line}")
    if faults:
        raise UserError(f"{len(faults)} of the downloads failed: see the lines above, then run this again")
    print("everything is here")
    return 0


def plan_grid(arguments: argparse.Namespace) -> int:
    """``--plan --tier TIER`` without a model: what every run of the grid takes.

    Exit code 1 when a run cannot fit, or its model is not to be had.
    """
    from llmini import preflight

    tier = settings.check_tier(arguments.tier)
    names = [name.strip() for name in (arguments.device or "here").split(",") if name.strip()]
    shown = preflight.text(tier, arguments.core, names)
    print(shown)
    return int("\nrefused: " in shown or "\nunknown, " in shown)


def tier_of(model: str) -> str:
    """The first tier that has the name; otherwise pocket for a small local checkpoint, and full for all else."""
    from llmini import validate

    for tier in ("pocket", "small", "full"):
        if model in models.names(tier):
            return tier
    folder = Path(model).expanduser()
    with contextlib.suppress(UserError):
        if folder.is_dir() and validate.check(folder).parameters < SMALL:
            return "pocket"
    return "full"


def catalogue() -> str:
    """The text of ``--list``."""
    from llmini.compress import prune, quantize

    lines = []
    for tier in ("pocket", "small", "full"):
        lines.append(f"{tier} models")
        for name in models.names(tier):
            found = models.spec(name, tier)
            source = Path(found.source)
            if source.is_absolute():
                source = source.relative_to(settings.root()) if source.is_dir() else "not there: `make pocket-models`"
            lines.append(f"  {name:<18}{found.label:<30}{source}")
        lines.append("")
    for title, methods in (("quantization (--quant)", quantize.METHODS), ("pruning (--prune)", prune.METHODS)):
        described = methods if hasattr(methods, "items") else dict.fromkeys(methods, "")
        lines += [title, *(f"  {name:<18}{meaning}".rstrip() for name, meaning in described.items()), ""]
    return "\n".join(lines).rstrip()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' chatter off stderr; without a terminal their bars too. LLMINI_DEBUG lets all through."""
    if os.environ.get("LLMINI_DEBUG"):
        yield
        return
    wanted = {"LLM_COMPRESSOR_LOG_LEVEL": "ERROR", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false"}
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            if not sys.stderr.isatty():
                # Some bars are drawn whatever TQDM_DISABLE says; our own line is written after this block.
                stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
            yield
    finally:
        logging.disable(before)
        for name in added:
            os.environ.pop(name, None)


if __name__ == "__main__":
    sys.exit(main())
