"""What VoiceBench's code says to each model beside the question (src/models of its repository).

Written from its published files: no text goes with the clip, and answers are decoded as each
checkpoint's generation_config says. Its wrappers for models that modgap does not load are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from modgap.analysis.pipeline import ANSWERS

__all__ = ["WRAPPERS", "Wrapper"]


@dataclass(frozen=True)
class Wrapper:
    """How VoiceBench asks a model.

    Attributes
    ----------
    file : str
        Of ``src/models``.
    system : str or None
        System text; None is what the chat template does by itself.
    """

    file: str
    system: str | None = None


#: By `SpeechLM.published_as`; "text" is a text model by itself.
WRAPPERS = {
    "qwen2_audio": Wrapper("qwen2.py"),
    "qwen2_5_omni": Wrapper("qwen_omni.py", "You are a helpful assistant."),
    "phi4_multimodal": Wrapper("phi.py"),
    "ultravox": Wrapper(
        "ultravox.py",
        "You are a friendly and helpful character. You love to answer questions for people.",
    ),
    "text": Wrapper("naive4.py", ANSWERS),
}
