"""When training checkpoints, how it shows its progress, and how it ends when it is told to stop."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import TrainerCallback

from llmini import settings

PATIENCE = 60  # seconds of work that a kill may cost
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Pace(TrainerCallback):
    """Checkpoints every ``steps`` steps (None: after :data:`PATIENCE` seconds), at the end and when told to stop.

    ``asked`` is the name of the signal that stopped training, or None.
    """

    def __init__(self, steps: int | None = None) -> None:
        self.steps, self.asked, self.bar = steps, None, None

    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self.last = time.monotonic()
        self.bar = iter(settings.progress(range(state.global_step, state.max_steps), desc="distil"))

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        next(self.bar, None)
        late = time.monotonic() - self.last > PATIENCE if self.steps is None else state.global_step % self.steps == 0
        if args.world_size > 1:  # all processes save and stop together, or they wait for each other for ever
            import torch.distributed as dist

            told = [None] * args.world_size
            dist.all_gather_object(told, (late, self.asked))
            late, self.asked = any(one for one, _ in told), next((name for _, name in told if name), None)
        if late or self.asked or state.global_step >= state.max_steps:
            control.should_save, self.last = True, time.monotonic()
        control.should_training_stop |= self.asked is not None

    def on_train_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        next(self.bar, None)  # closes it

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        """The first Ctrl-C, SIGTERM or SIGHUP in the block lets the step end and be saved; the next acts at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in STOPS}

        def ask(number: int, frame: Any) -> None:
            self.asked = signal.Signals(number).name
            signal.signal(number, before[number])

        for number in STOPS:
            signal.signal(number, ask)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
