"""A row of tokens, each in its box: a small component, since labels and tables would take
``<s>`` or ``$`` for markup. It writes ``textContent`` only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from modgap.figures.text import visible
from modgap.ui.session import state

if TYPE_CHECKING:
    from modgap.analysis.prompt_tokens import PromptToken

MAX_SHOWN = 600

_CSS = """
.tokens { display: flex; flex-wrap: wrap; gap: 3px; margin: 0; padding: 0; list-style: none;
  font-family: var(--st-code-font, monospace); font-size: 0.82rem; line-height: 1.35;
  color: var(--st-text-color); max-height: 11rem; overflow-y: auto; }
.tokens li { border: 1px solid var(--st-border-color); border-radius: 3px; padding: 1px 5px;
  background: var(--st-secondary-background-color); white-space: pre-wrap; word-break: break-all; }
.tokens li.special, .tokens li.padding { background: none; border-style: dashed;
  color: var(--st-primary-color); }
.tokens li.template { background: none; }
.tokens li.content { border-color: var(--st-primary-color); }
.tokens li.more { border-style: dashed; font-family: var(--st-font); }
"""
_JS = """
export default function ({ data, parentElement }) {
  const list = parentElement.querySelector('.tokens')
  list.setAttribute('aria-label', data.label)
  list.replaceChildren(...data.tokens.map(([shown, title, role], index) => {
    const item = document.createElement('li')
    item.textContent = shown
    item.className = role || ''
    item.title = role ? title : `${index}: ${title}`
    return item
  }))
  if (data.left > 0) {
    const item = document.createElement('li')
    item.className = 'more'
    item.textContent = `${data.left} more`
    list.append(item)
  }
}
"""
_CHOICE_CSS = """
.choice { display: flex; flex-wrap: wrap; gap: 4px; }
.choice button { font: inherit; font-family: var(--st-code-font, monospace); font-size: 0.85rem;
  line-height: 1.4; color: var(--st-text-color); background: var(--st-secondary-background-color);
  border: 1px solid var(--st-border-color); border-radius: 4px; padding: 2px 7px; cursor: pointer;
  white-space: pre-wrap; word-break: break-all; }
.choice button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
.choice button[aria-pressed=true] { background: var(--st-primary-color); border-color:
  var(--st-primary-color); color: var(--st-background-color); }
"""
_CHOICE_JS = """
export default function ({ data, parentElement, setTriggerValue }) {
  // Of clicks that come while the server is busy it sees the last alone: each tells all before it.
  const visit = () => crypto.getRandomValues(new Uint32Array(1))[0]
  const told = parentElement.modgapClicks ??= { visit: visit(), clicks: [] }
  const tell = (index) => {
    told.clicks = [...told.clicks.slice(-99), [(told.clicks.at(-1)?.[0] ?? 0) + 1, index]]
    setTriggerValue('toggled', { visit: told.visit, clicks: told.clicks })
  }
  const row = parentElement.querySelector('.choice')
  row.setAttribute('aria-label', data.label)
  data.tokens.forEach(([shown, title], index) => {
    const button = row.children[index] || row.appendChild(document.createElement('button'))
    button.textContent = shown
    button.title = `${index}: ${title}`
    button.setAttribute('aria-pressed', String(data.chosen.includes(index)))
    button.onclick = () => tell(index)
  })
  while (row.children.length > data.tokens.length) row.lastChild.remove()
}
"""
_choice = st.components.v2.component(
    "modgap_token_choice",
    html='<div class="choice" role="group"></div>',
    css=_CHOICE_CSS,
    js=_CHOICE_JS,
)
_component = st.components.v2.component(
    "modgap_tokens", html='<ul class="tokens"></ul>', css=_CSS, js=_JS
)


def token_row(pieces: Sequence[str], *, label: str, key: str) -> None:
    """Show `pieces` as boxes with signs for what is invisible; exact text as each one's hint."""
    shown = [[visible(piece), piece] for piece in pieces[:MAX_SHOWN]]
    left = max(0, len(pieces) - MAX_SHOWN)
    _component(key=key, data={"tokens": shown, "label": label, "left": left})


def prompt_row(tokens: Sequence[PromptToken], *, label: str, key: str) -> None:
    """Show a prompt: its special tokens told apart, positions of sound as one box with their count.

    Hints have position, id, and the token as the vocabulary has it.
    """
    boxes = []
    for token in tokens[:MAX_SHOWN]:
        many = f" × {token.count}" if token.count > 1 else ""
        last = token.position + token.count - 1
        at = f"{token.position}–{last}" if many else f"{token.position}"
        title = f"{at}: id {token.id}, {token.token} ({token.role})"
        boxes.append([visible(token.text or token.token) + many, title, token.role])
    left = max(0, len(tokens) - MAX_SHOWN)
    _component(key=key, data={"tokens": boxes, "label": label, "left": left})


def token_choice(
    pieces: Sequence[str],
    chosen: Collection[int],
    *,
    label: str,
    key: str,
    on_toggle: Callable[[int], None],
) -> None:
    """The same as buttons, those of `chosen` pressed.

    `on_toggle` is called with the token before the run that its click causes, once for each click:
    none is lost to a run that another click cuts off, nor to a click before the server has looked.
    """
    shown = [[visible(piece), piece] for piece in pieces[:MAX_SHOWN]]

    def toggled() -> None:
        told = state.visit().told
        mounted, clicks = _clicks((state.component(key) or {}).get("toggled"))
        before, last = told.get(key, (None, 0))
        last = last if mounted == before else 0
        for number, index in clicks:
            if number > last and 0 <= index < len(shown):
                on_toggle(index)
        newest = max((number for number, _ in clicks), default=0)
        told[key] = (mounted, max(last, newest))

    _choice(
        key=key,
        data={"tokens": shown, "label": label, "chosen": sorted(chosen)},
        on_toggled_change=toggled,
    )


def _clicks(told: object) -> tuple[object, list[tuple[int, int]]]:
    """What the component says: a number of its own, and (number, token) of its clicks so far."""
    if not isinstance(told, Mapping) or not isinstance(told.get("clicks"), list):
        return None, []
    found = [c for c in told["clicks"] if isinstance(c, list) and len(c) == 2]
    return told.get("visit"), [(n, i) for n, i in found if type(n) is int and type(i) is int]
