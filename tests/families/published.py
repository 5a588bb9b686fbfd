"""How released checkpoints' prompts look: facts about their small files, with where they are from.

Each is what the released chat template writes for a clip, and for a clip with a typed question
behind it, in the user's turn; the clip is ``{clip}``, the question ``{q}``. Templates stand here
where a checkpoint's own shape is another than that of the family's module: written anew, to the
same effect.
"""

from __future__ import annotations

from dataclasses import dataclass

HELPFUL = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
USER, ANSWER = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"
TRANSFORMERS = "huggingface/transformers, src/transformers/models"
# The words of MOSS's and Fun-ASR's prompts, as their converters have them.
MOSS_TASK = (
    "请将音频转写为文本，每一段需以起始时间戳和说话人编号（[S01]、[S02]、[S03]…）开头，"
    "正文为对应的语音内容，并在段末标注结束时间戳，以清晰标明该段语音范围。"
)
FUN_TASK = "语音转写："
FUN_CONTEXT = (
    "请结合上下文信息，更加准确地完成语音转写任务。如果没有相关信息，我们会留空。\n\n\n"
    "**上下文信息：**\n\n\n"
)
MUSIC = (
    "<|im_start|>system\nYou are Music Flamingo, a multimodal assistant for language and music. On "
    "each turn you receive an audio clip which contains music and optional text, you will receive "
    "at least one or both; use your world knowledge and reasoning to help the user with any task. "
    "Interpret the entirety of the content any input music--regardlenss of whether the user calls "
    "it audio, music, or sound.<|im_end|>\n"
)


@dataclass(frozen=True)
class Published:
    """The prompts of a family's release.

    prompt : with a clip alone
    source : where that is to be read
    asked : with a clip and a question; empty where there is no place for one, or modgap's own
        separator stands between them
    template : of a checkpoint's own, where it is not the module's
    typed : whether a message may be typed
    """

    prompt: str
    source: str
    asked: str = ""
    template: str = ""
    typed: bool = True


def _parts(audio: str, text: str) -> str:
    """A template of the ChatML kind that writes all clips of a turn, then or before its text."""
    return (
        "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}<|im_start|>system\n"
        "You are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ m['role'] }}\n"
        "{% if m['content'] is string %}{{ m['content'] }}{% else %}"
        "{% set said = m['content'] | selectattr('type', 'equalto', 'text') | list %}"
        + text.replace("AUDIO", audio)
        + "{% endif %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )


PUBLISHED = {
    "qwen2_audio": Published(
        f"{HELPFUL}{USER}Audio 1: <|audio_bos|>{{clip}}<|audio_eos|>\n{ANSWER}",
        f"{TRANSFORMERS}/qwen2_audio/processing_qwen2_audio.py, default_chat_template",
        f"{HELPFUL}{USER}Audio 1: <|audio_bos|>{{clip}}<|audio_eos|>\n{{q}}{ANSWER}",
    ),
    "qwen2_5_omni": Published(
        f"{HELPFUL}{USER}<|audio_bos|>{{clip}}<|audio_eos|>{ANSWER}",
        "huggingface/transformers, tests/models/qwen2_5_omni/test_processing_qwen2_5_omni.py",
        f"{HELPFUL}{USER}<|audio_bos|>{{clip}}<|audio_eos|>{{q}}{ANSWER}",
    ),
    "qwen3_omni_moe": Published(
        f"{USER}<|audio_start|>{{clip}}<|audio_end|>{ANSWER}",
        "huggingface/transformers, tests/models/qwen3_omni_moe/test_modeling_qwen3_omni_moe.py "
        "(what the released processor makes); QwenLM/Qwen3-Omni, README.md",
        f"{USER}<|audio_start|>{{clip}}<|audio_end|>{{q}}{ANSWER}",
    ),
    "audioflamingo3": Published(
        f"{HELPFUL}{USER}{{clip}}{ANSWER}",
        f"{TRANSFORMERS}/audioflamingo3/convert_audioflamingo3_to_hf.py",
    ),
    "musicflamingo": Published(
        f"{MUSIC}{USER}<|sound_bos|>{{clip}}<|sound_eos|>{ANSWER}",
        f"{TRANSFORMERS}/musicflamingo/convert_musicflamingo_to_hf.py",
    ),
    "glmasr": Published(
        "<|user|>\n<|begin_of_audio|>{clip}<|end_of_audio|><|user|><|assistant|>\n",
        f"{TRANSFORMERS}/glmasr/convert_glmasr_weights_to_hf.py",
        "<|user|>\n<|begin_of_audio|>{clip}<|end_of_audio|><|user|>\n{q}<|assistant|>\n",
    ),
    "gemma3n": Published(
        "<bos><start_of_turn>user\n\n\n<start_of_audio>{clip}<end_of_audio>\n\n<end_of_turn>\n"
        "<start_of_turn>model\n",
        "google/gemma-3n-E4B-it, chat_template.jinja; marks: transformers, processing_gemma3n.py",
        "<bos><start_of_turn>user\n\n\n<start_of_audio>{clip}<end_of_audio>\n\n{q}<end_of_turn>\n"
        "<start_of_turn>model\n",
    ),
    "gemma4": Published(
        "<bos><|turn>user\n<|audio>{clip}<audio|><turn|>\n<|turn>model\n",
        "google/gemma-4-E2B-it, chat_template.jinja without tools (in ollama/ollama, "
        "model/renderers/testdata); marks: transformers, processing_gemma4.py",
        "<bos><|turn>user\n<|audio>{clip}<audio|>{q}<turn|>\n<|turn>model\n",
    ),
    "gemma4_unified": Published(
        "<bos><|turn>user\n<|audio>{clip}<audio|><turn|>\n<|turn>model\n"
        "<|channel>thought\n<channel|>",
        "google/gemma-4-12B-it, chat_template.jinja: as above, with an empty thought where "
        "thinking is off (its commit 706856c says so)",
        "<bos><|turn>user\n<|audio>{clip}<audio|>{q}<turn|>\n<|turn>model\n"
        "<|channel>thought\n<channel|>",
    ),
    "phi4_multimodal": Published(
        "<|user|>{clip}<|end|><|assistant|>",
        "microsoft/Phi-4-multimodal-instruct, README.md",
    ),
    "granite_speech": Published(
        "<|start_of_role|>user<|end_of_role|>{clip}<|end_of_text|>\n"
        "<|start_of_role|>assistant<|end_of_role|>",
        "ibm-granite/granite-speech-4.1-2b, chat_template.jinja without tools and documents",
    ),
    "granite_speech_plus": Published(
        "<|start_of_role|>user<|end_of_role|>{clip}<|end_of_text|>\n"
        "<|start_of_role|>assistant<|end_of_role|>",
        "as granite_speech, whose roles it has; with system text and instruction: VENDORS",
    ),
    "qwen3_asr": Published(
        f"<|im_start|>system\n<|im_end|>\n{USER}<|audio_start|>{{clip}}<|audio_end|>{ANSWER}",
        f"{TRANSFORMERS}/qwen3_asr/convert_qwen3_asr_to_hf.py, ASR_CHAT_TEMPLATE",
        template=(
            "{% set ns = namespace(said='', clips='') %}{% for m in messages %}"
            "{% if m['role'] == 'system' %}"
            "{% set ns.said = m['content'] %}"
            "{% elif m['content'] is not string %}"
            "{% for part in m['content'] %}{% if part['type'] == 'audio' %}"
            "{% set ns.clips = ns.clips + '<|audio_start|><|audio_pad|><|audio_end|>' %}"
            "{% endif %}{% endfor %}{% endif %}{% endfor %}"
            "<|im_start|>system\n{{ ns.said }}<|im_end|>\n"
            "<|im_start|>user\n{{ ns.clips }}<|im_end|>\n"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
        ),
        typed=False,
    ),
    "fun_asr_nano": Published(
        f"{HELPFUL}{USER}{FUN_TASK}{{clip}}{ANSWER}",
        f"{TRANSFORMERS}/fun_asr_nano/convert_fun_asr_nano_to_hf.py, CHAT_TEMPLATE",
        f"{HELPFUL}{USER}{FUN_CONTEXT}{{q}}\n{FUN_TASK}{{clip}}{ANSWER}",
        template=_parts(
            "<|object_ref_start|>",
            "{% if said %}"
            + FUN_CONTEXT.replace("\n", "{{ '\\n' }}")
            + "{{ said[0]['text'] }}{{ '\\n' }}{% endif %}"
            + FUN_TASK
            + "AUDIO",
        ),
    ),
    "moss_transcribe_diarize": Published(
        f"{HELPFUL}{USER}<|audio_start|>{{clip}}<|audio_end|>\n{MOSS_TASK}{ANSWER}",
        f"{TRANSFORMERS}/moss_transcribe_diarize/convert_moss_transcribe_diarize_to_hf.py",
        f"{HELPFUL}{USER}<|audio_start|>{{clip}}<|audio_end|>\n补充信息：{{q}}\n\n{MOSS_TASK}{ANSWER}",
        template=_parts(
            "<|audio_start|><|audio_pad|><|audio_end|>{{ '\\n' }}",
            "AUDIO{% if said %}补充信息：{{ said[0]['text'] }}{{ '\\n\\n' }}{% endif %}"
            + MOSS_TASK,
        ),
    ),
}

GRANITE_SYSTEM = (
    "Knowledge Cutoff Date: April 2024.\nToday's Date: December 19, 2024.\n"
    "You are Granite, developed by IBM. You are a helpful AI assistant"
)

#: Prompts with a question as the publisher's own code asks it (``style="vendor"``): text, and where
#: that is to be read.
VENDORS = {
    "granite_speech_plus": (
        f"<|start_of_role|>system<|end_of_role|>{GRANITE_SYSTEM}<|end_of_text|>\n"
        "<|start_of_role|>user<|end_of_role|>{clip} {q}<|end_of_text|>\n"
        "<|start_of_role|>assistant<|end_of_role|>",
        "transformers' documentation, granite_speech_plus; ibm-granite/granite-speech, "
        "granite_speech/prompts.py",
    ),
    "qwen3_omni_moe": (
        PUBLISHED["qwen3_omni_moe"].asked,
        "QwenLM/Qwen3-Omni, README.md, Setting for Evaluation",
    ),
    "gemma4": (
        "<bos><|turn>user\n{q}<|audio>{clip}<audio|><turn|>\n<|turn>model\n",
        "google/gemma-4-E2B-it, README.md: audio after the text",
    ),
}
