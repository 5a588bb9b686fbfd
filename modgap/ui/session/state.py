"""What one browser session holds; only this module touches Streamlit's session state.

The values of widgets lie under keys of their own, since Streamlit puts them there (`Widget`;
`inputs` declares them). All the rest is one `Visit`, with a part for each page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

if TYPE_CHECKING:
    from modgap.interventions.intervention import Intervention
    from modgap.ui.server.batch_request import BatchRequest
    from modgap.ui.session.link import Query

T = TypeVar("T")
Pairs = frozenset[tuple[int, int]]  # (i, j): a word may have several speech positions


class Widget(Generic[T]):
    """The value that a widget keeps under its key.

    Streamlit drops it with a widget that is not drawn, unless that is to persist for the session.
    """

    def __init__(self, key: str) -> None:
        self.key = key

    @property
    def is_set(self) -> bool:
        """Whether there is a value."""
        return self.key in st.session_state

    @property
    def value(self) -> T:
        """The value; there must be one."""
        return cast(T, st.session_state[self.key])

    @value.setter
    def value(self, value: T) -> None:
        st.session_state[self.key] = value

    def set(self, value: T) -> None:
        """Change it before the run that a click causes."""
        self.value = value

    def get(self, otherwise: T) -> T:
        """The value, or another where there is none."""
        return cast(T, st.session_state.get(self.key, otherwise))

    def drop(self) -> None:
        """Forget it."""
        st.session_state.pop(self.key, None)


def component(key: str) -> Mapping[str, Any] | None:
    """What a component of ours has said; None before it is mounted, and of what is no object."""
    said = st.session_state.get(key)
    return said if isinstance(said, Mapping) else None


def session_id() -> str:
    """The id of this browser session."""
    context = get_script_run_ctx()
    return context.session_id if context else ""


# ---- what all pages share ------------------------------------------------------------------------


@dataclass(frozen=True)
class ClipRef:
    """The clip in use: a file's bytes and where they came from.

    `id` is the example's id, the key of the result for a clip taken from a result, or the id of a
    data set's question; the last has its `reference`, the `instruction` that it is asked with, and
    the name of its `run`.
    """

    source: Literal["example", "upload", "record", "run", "question"]
    id: str
    name: str
    data: bytes
    reference: str | None = None
    instruction: str = ""
    run: str = ""

    @cached_property
    def file_sha256(self) -> str | None:
        """Of the file's bytes; None for a sound that no file of the visitor's holds."""
        whole = self.source in ("example", "upload", "record")
        return hashlib.sha256(self.data).hexdigest() if whole else None


@dataclass(frozen=True)
class Draft:
    """A transcript that a recogniser (its id) has written, and nobody has checked yet."""

    text: str
    by: str


@dataclass(frozen=True)
class Shown:
    """The result on display: its key, the request that it answers, and how it came."""

    key: str
    signature: str
    cached: bool
    seconds: float | None = None


@dataclass
class JobsWanted:
    """What this session waits for.

    Attributes
    ----------
    main : dict
        Every job's id, and whether its result becomes the one on display.
    live : dict
        The id of the last job of each live kind.
    """

    main: dict[str, bool] = field(default_factory=dict)
    live: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.main)


@dataclass
class Address:
    """The address in the browser: what was written into it, before that, and when (s)."""

    written: Query = field(default_factory=dict)
    before: Query = field(default_factory=dict)
    when: float = 0.0


# ---- the pages -----------------------------------------------------------------------------------


@dataclass
class LayersPage:
    """`model`: the one that was the sidebar's when the page was drawn last."""

    model: str | None = None


@dataclass(frozen=True)
class AlignmentPlace:
    """Where the alignment component stands; None is a layer in the middle."""

    layer: int | None
    measure: str
    paths: tuple[str, ...]


@dataclass
class AlignmentPage:
    """`cell`: the key of a result, and the pair (i, j) that is chosen in it."""

    place: AlignmentPlace | None = None
    cell: tuple[str, int, int] | None = None


@dataclass
class InterventionsPage:
    """Pairs belong to the result whose key stands before them.

    Attributes
    ----------
    next : (key, Intervention) or None
        What the page is to open with, whatever its controls say.
    own, marked : (key, pairs)
        What the user has put together; what the last answer has changed.
    more : dict
        By a control's name, an option that it does not offer by itself.
    """

    next: tuple[str, Intervention] | None = None
    own: tuple[str, Pairs] = ("", frozenset())
    marked: tuple[str, Pairs] = ("", frozenset())
    more: dict[str, Any] = field(default_factory=dict)


@dataclass
class DecidedPage:
    """`lens_cell`: a result's key, level, i, j; `next_cell`: a layer and word that were clicked;
    `cells_of`: the key of the result that the strongest cell was chosen in."""

    lens_cell: tuple[str, int, int, int] | None = None
    next_cell: tuple[int, int] | None = None
    cells_of: str | None = None


@dataclass
class ComparePage:
    """`examples`: the signature of the job that measures the examples; `second`: a file that says
    the same words as the clip in use."""

    examples: str | None = None
    second: ClipRef | None = None


@dataclass
class RunPages:
    """The pages of runs: Modality gap, and Similarity vs gap.

    Attributes
    ----------
    own : dict
        Folders of runs that this visitor has opened, by name.
    calibrated : tuple of str
        The run and checkpoints that the threshold of hearing was set for.
    next : str or None
        The run that is to be chosen next.
    filters_of, models_of : str or None
        The run that filters and checkpoints were set up for.
    opened : ((run, checkpoint, question), bool) or None
        The clip that was opened, and whether it was there; `submit`: it is to be analysed.
    point, next_layer
        A checkpoint and a layer that were clicked.
    batch : BatchRequest or None
        The run of uploaded files that is being made, or was cancelled; `batch_problem`: why there
        is none.
    """

    own: dict[str, str] = field(default_factory=dict)
    calibrated: tuple[str, ...] = ()
    next: str | None = None
    problem: str | None = None
    filters_of: str | None = None
    models_of: str | None = None
    opened: tuple[tuple[str, str, str], bool] | None = None
    submit: bool = False
    clip_problem: str | None = None
    point: int | None = None
    next_layer: int | None = None
    batch: BatchRequest | None = None
    batch_problem: str | None = None


@dataclass
class Visit:
    """All that a browser session holds beside the values of its widgets.

    Attributes
    ----------
    usable : dict
        The model's widgets as they were when a result last came.
    failed : dict
        Why something is missing, by the signature of its request.
    link : dict
        What the address said when it was opened or changed (`link.parse`).
    view : dict
        What the page says of itself for the address.
    next_model : str or None
        Chosen on a page, for the sidebar, whose widgets come before.
    pipeline : str
        The recogniser that is asked; empty for none.
    words_of : (str, (start, end))
        The transcript, and the part of the clip (s) that it was given for; `cutting`: its words are
        to be cut to the part that is chosen now.
    drafting : str
        The recogniser that is writing a draft of the transcript; empty for none.
    draft : Draft or None
        What it wrote, until that is edited or accepted.
    started : set of str
        Signatures of requests that take long and were started by a click.
    waits_for_paint, says_nothing : bool
        See `deferred`.
    openings, clicked, told : dict
        By a component's key: where it opened, the cell that was clicked last, the last click on a
        word.
    """

    clip: ClipRef | None = None
    shown: Shown | None = None
    jobs: JobsWanted = field(default_factory=JobsWanted)
    usable: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    error: str = ""
    notice: str = ""
    page: str | None = None
    link: Mapping[str, Any] = field(default_factory=dict)
    view: dict[str, Any] = field(default_factory=dict)
    address: Address = field(default_factory=Address)
    next_model: str | None = None
    pipeline: str = ""
    words_of: tuple[str, tuple[float, float]] = ("", (0.0, 0.0))
    cutting: bool = False
    drafting: str = ""
    draft: Draft | None = None
    started: set[str] = field(default_factory=set)
    waits_for_paint: bool = False
    says_nothing: bool = False
    openings: dict[str, tuple[str, tuple[Any, ...]]] = field(default_factory=dict)
    clicked: dict[str, tuple[int, ...] | None] = field(default_factory=dict)
    told: dict[str, tuple[object, int]] = field(default_factory=dict)
    layers: LayersPage = field(default_factory=LayersPage)
    alignment: AlignmentPage = field(default_factory=AlignmentPage)
    interventions: InterventionsPage = field(default_factory=InterventionsPage)
    decided: DecidedPage = field(default_factory=DecidedPage)
    compare: ComparePage = field(default_factory=ComparePage)
    runs: RunPages = field(default_factory=RunPages)

    def forget_remarks(self) -> None:
        """Neither error nor notice any more."""
        self.error = self.notice = ""


def visit() -> Visit:
    """What this browser session holds; a run that a click has overtaken may end here."""
    if "visit" not in st.session_state:
        st.session_state["visit"] = Visit()
    return cast(Visit, st.session_state["visit"])
