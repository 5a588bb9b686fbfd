"""What LLaMA-Omni's checkpoints leave to its code: the text model's class, and the prompt."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from modgap.core.errors import ModelError

# What of a LLaMA-Omni config is not the text model's.
SPEECH = ("speech_", "tune_speech", "ctc_", "unit_", "tts_", "stream_params", "tokenizer_")
# The conversation "llama_3" of omni_speech/conversation.py and the query of infer/examples: a
# system text, no date, one sentence on a line of its own after the clip.
_SYSTEM = (
    "You are a helpful language and speech assistant. You are able to understand the speech "
    "content that the user provides, and assist the user with a variety of tasks using natural "
    "language."
)
_AFTER = "\nPlease directly answer the questions in the user's speech."
_TEMPLATE = (
    "{{ '<|begin_of_text|>' }}{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|start_header_id|>system<|end_header_id|>\n\n" + _SYSTEM + "<|eot_id|>' }}"
    "{% endif %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' "
    "+ message['content'] + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)


def omni_kind(source: Path, config: dict[str, Any]) -> tuple[str, str, str]:
    """Which of the two a checkpoint is, and its text model's own type and class.

    Both name it in their type: omni_speech_llama, omni_speech2s_llama; omni2_speech_qwen2,
    omni2_speech2s_qwen2.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CLASSES

    named = [str(config.get("model_type")), *(config.get("architectures") or ())]
    found = [re.search(r"omni(2?)_?speech(?:2s)?_?(.*)", name.lower()) for name in named]
    types = [match[2].removesuffix("forcausallm") for match in found if match is not None]
    text_type = next((kind for kind in types if kind in CLASSES), None)
    if text_type is None:
        raise ModelError(
            f"{source / 'config.json'} does not say which text model it holds (model_type "
            f"{config.get('model_type')!r}): write it at the end, as in omni_speech2s_llama."
        )
    second = any(match is not None and match[1] for match in found)
    return "llama-omni2" if second else "llama-omni", text_type, CLASSES[text_type]


def write_prompt(llm: Path) -> str:
    """Write LLaMA-Omni's own template; returns what its prompt says after the clip.

    Llama 3.1's own, which the checkpoint's tokenizer has, would add the date and lack the system
    text. A tokenizer of another kind keeps its template.
    """
    tokenizer = llm / "tokenizer.json"
    if not tokenizer.is_file() or "<|start_header_id|>" not in tokenizer.read_text("utf-8"):
        return ""
    (llm / "chat_template.jinja").write_text(_TEMPLATE, "utf-8")
    return _AFTER
