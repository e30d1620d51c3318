"""A training that is killed: imported by a process that has not imported the kit yet."""

import os
import signal
import sys


def in_step_5(folder, out, traces, settings):
    """Train the student of a folder where bitsandbytes cannot be imported; kill the process."""
    sys.modules["bitsandbytes"] = None
    from distillkit.models import loading
    from distillkit.training import loop
    from distillkit.training.lora import lora

    def on_step(row):
        if row["step"] == 5:
            os.kill(os.getpid(), signal.SIGKILL)

    loaded = loading.load(str(folder))
    config = loop.TrainingConfig(save_seconds=0, **settings)
    loop.distill(
        loaded.model, loaded.tokenizer, traces, lora(r=2), config, out=out, on_step=on_step
    )
