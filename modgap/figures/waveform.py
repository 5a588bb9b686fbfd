"""What a clip looks like: waveform, mel spectrogram, and the time each speech token covers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from modgap.audio.clip import Clip
from modgap.core.errors import ModgapError
from modgap.figures import base
from modgap.figures.palette import colorscale, palette

RATE = 16000
POINTS = 1000  # stretches of the envelope: two values each
FRAMES = 1200
MELS = 64
FLOOR = -80  # dB below the loudest
_NAMED = (250, 500, 1000, 2000, 4000, 8000)


@dataclass(frozen=True, eq=False)
class SoundPicture:
    """Attributes
    ----------
    seconds : float
    low, high : float32 (P,), P <= 1000
        The lowest and highest sample in each of P equal stretches.
    mel : int8 (MELS, F)
        Power in dB below the loudest, -80 to 0.
    frequencies : float (MELS,)
        Hz at the middle of each band.
    token_times : float (T_s, 2) or None
        Seconds of each speech token.
    """

    seconds: float
    low: np.ndarray
    high: np.ndarray
    mel: np.ndarray
    frequencies: np.ndarray
    token_times: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.low.shape != self.high.shape or len(self.low) > POINTS:
            raise ModgapError(f"The envelope must be two equal rows of {POINTS} at most.")
        if self.mel.ndim != 2 or len(self.mel) != len(self.frequencies):
            raise ModgapError("The spectrogram must have one row per mel band.")
        if self.token_times is not None and self.token_times.shape[1:] != (2,):
            raise ModgapError("Token times must be (T_s, 2) seconds.")

    @classmethod
    def of(cls, clip: Clip, token_times: np.ndarray | None = None) -> SoundPicture:
        """Computed from a clip, at 16 kHz whatever its rate; `token_times` (T_s, 2) in seconds."""
        import librosa.feature  # late: its first import takes seconds
        from librosa import mel_frequencies, power_to_db

        x = clip.resample(RATE)
        edges = np.linspace(0, len(x), min(POINTS, len(x)) + 1).astype(int)[:-1]
        hop = max(160, -(-len(x) // FRAMES))
        power = librosa.feature.melspectrogram(
            y=x, sr=RATE, n_fft=512, hop_length=hop, n_mels=MELS, fmin=60, fmax=RATE / 2
        )
        db = np.maximum(power_to_db(power, ref=np.max), FLOOR)
        return cls(
            seconds=len(x) / RATE,
            low=np.minimum.reduceat(x, edges),
            high=np.maximum.reduceat(x, edges),
            mel=np.rint(db).astype(np.int8),
            frequencies=mel_frequencies(n_mels=MELS + 2, fmin=60, fmax=RATE / 2)[1:-1],
            token_times=token_times,
        )

    def figure(self, *, dark: bool = False, height: int = 340) -> go.Figure:
        """Waveform above spectrogram above the token ruler, on one time axis."""
        p, ruler = palette(dark), self.token_times is not None
        heights = [0.3, 0.62, 0.08] if ruler else [0.32, 0.68]
        rows = len(heights)
        fig = make_subplots(
            rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.035, row_heights=heights
        )
        n = len(self.low)
        t = ((np.arange(n) + 0.5) * self.seconds / n).astype(np.float32)
        x, y = np.repeat(t, 2), np.stack([self.low, self.high], axis=1).ravel()
        wave = go.Scatter(
            x=x, y=y.astype(np.float32), mode="lines", line={"width": 1, "color": p.muted},
            hovertemplate="%{x:.2f} s<extra></extra>", showlegend=False, name="waveform",
        )  # fmt: skip
        fig.add_trace(wave, row=1, col=1)
        frames = self.mel.shape[1]
        greys = (p.page, p.text)
        mel = go.Heatmap(
            x0=0, dx=self.seconds / max(1, frames - 1), z=self.mel, zmin=FLOOR, zmax=0,
            colorscale=colorscale(greys), showscale=False, name="mel",
            hovertemplate="%{x:.2f} s · %{z} dB<extra></extra>",
        )  # fmt: skip
        fig.add_trace(mel, row=2, col=1)
        if self.token_times is not None:
            fig.add_trace(self._ruler(dark), row=3, col=1)
            fig.update_yaxes(visible=False, row=3, col=1)
        loud = max(0.01, float(np.abs(y).max())) * 1.05
        fig.update_layout(template=base.template_name(dark), height=height, showlegend=False)
        fig.update_layout(margin_t=12)
        fig.update_yaxes(range=[-loud, loud], showgrid=False, nticks=4, row=1, col=1)
        at = np.interp(_NAMED, self.frequencies, np.arange(len(self.frequencies)))
        text = [f"{f // 1000}k" if f >= 1000 else str(f) for f in _NAMED]
        fig.update_yaxes(
            tickvals=at, ticktext=text, title_text="Hz (mel)", showgrid=False, row=2, col=1
        )
        fig.update_xaxes(range=[0, self.seconds], showgrid=False)
        fig.update_xaxes(title_text="time (s)", row=rows, col=1)
        return fig

    def _ruler(self, dark: bool) -> go.Heatmap:
        """One box per speech token, in two tones by turns."""
        times = self.token_times
        assert times is not None
        p = palette(dark)
        edges = np.append(times[:, 0], times[-1, 1]).astype(np.float32)
        custom = np.stack([np.arange(len(times)), times[:, 0], times[:, 1]], axis=1)[None]
        return go.Heatmap(
            x=edges, y=[0, 1], z=(np.arange(len(times)) % 2).astype(np.int8)[None],
            colorscale=[[0, p.grid], [1, p.axis]], showscale=False, customdata=custom,
            name="speech tokens",
            hovertemplate="speech token %{customdata[0]} · %{customdata[1]:.2f}–"
            "%{customdata[2]:.2f} s<extra></extra>",
        )  # fmt: skip

    def table(self) -> pd.DataFrame:
        """The envelope: start of each stretch in seconds, lowest and highest sample."""
        start = np.arange(len(self.low)) * self.seconds / len(self.low)
        return pd.DataFrame({"start": start, "low": self.low, "high": self.high})
