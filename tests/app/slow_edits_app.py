"""The explorer with slow sweeps, and a log of what each job leaves behind in the model.

Single answers are slow, too, by the seconds that ``SLOW_ANSWERS`` says.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from typing import Any

import streamlit as st
import torch

from modgap.core.progress import Progress
from modgap.interventions.prefill import Prefill
from modgap.ui.server.requests import EditRequest
from modgap.ui.server.service import Service

logging.basicConfig()
log = logging.getLogger("modgap.ui")
log.setLevel(logging.INFO)
plain_run, plain_make = Prefill.run, EditRequest.make


def run(self: Prefill, variants: Any, **options: Any) -> Any:
    one = float(os.environ.get("SLOW_ANSWERS", "0"))
    time.sleep(1.0 if len(variants) > 1 else one)  # more than one: sweeps and patching
    return plain_run(self, variants, **options)


def make(wanted: EditRequest, server: Service, progress: Progress) -> Any:
    ended = "stopped"
    try:
        made = plain_make(wanted, server, progress)
        ended = "done"
        return made
    finally:
        request = wanted.of
        model = server.pool.get(request.choice)
        hooks = sum(len(x._forward_hooks) + len(x._forward_pre_hooks) for x in model.layers)
        prompt = model.speech_prompt(request.clip, instruction=request.instruction)
        with torch.no_grad():
            logits = model.hf(**prompt.inputs).logits
        digest = hashlib.sha256(logits.numpy().tobytes()).hexdigest()
        log.info("%s %s: hooks %d, plain %s", wanted.kind, ended, hooks, digest)


Prefill.run = run  # type: ignore[method-assign]
EditRequest.make = make  # type: ignore[method-assign]
app = st.App("../../modgap/ui/main.py")
