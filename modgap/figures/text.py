"""Tokens as people read them, in axes, labels and hover boxes; names as files bear them."""

from __future__ import annotations

import html
import re
import unicodedata

from modgap.core.names import turned_off

_SYMBOLS = {"\n": "⏎", "\r": "␍", "\t": "⇥", " ": "␣", "\x00": "␀"}


def visible(token: str) -> str:
    """A token with nothing invisible in it: newline, tab, blanks and control characters get signs.

    The blank that begins a word in byte-level vocabularies is left out, since it would only push
    the label aside; a token of nothing but blanks shows them.

    >>> visible(" hello"), visible("\\n"), visible(" "), visible("<s>")
    ('hello', '⏎', '␣', '<s>')
    """
    body = token[1:] if token[:1] == " " and token.strip(" ") else token
    edge = len(body) - len(body.lstrip(" ")), len(body.rstrip(" "))
    out = []
    for n, char in enumerate(body):
        if char == " ":
            out.append("␣" if n < edge[0] or n >= edge[1] else " ")
        elif char in _SYMBOLS:
            out.append(_SYMBOLS[char])
        elif unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp"}:
            out.append(f"‹{ord(char):04X}›")
        else:
            out.append(char)
    return "".join(out) or "∅"


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, the cut marked by an ellipsis."""
    return text if len(text) <= limit else text[: max(1, limit - 1)] + "…"


def plain(text: str) -> str:
    """Text that Plotly shows literally: its pseudo-HTML and its LaTeX are switched off.

    Without it ``<s>``, ``<b>`` and ``<br>`` vanish from axes and hover boxes, and ``$x$`` goes to
    the formula renderer.
    """
    return html.escape(turned_off(text), quote=True).replace("$", "&#36;")


def file_name(name: str) -> str:
    """A name fit for a download: letters, digits, dot, dash and underscore."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._")[:80] or "modgap"
