"""The measures of the method, as figures and tables name them."""

from __future__ import annotations

from dataclasses import dataclass

from modgap.core.errors import SettingsError


@dataclass(frozen=True)
class Measure:
    """One number per layer: its column in ``Analysis.layers``, its names and its range.

    Attributes
    ----------
    key : str
        The column of values.
    label : str
        Axis title.
    short : str
        For legends.
    formula : str
        Its definition in the symbols of the method, as plain text.
    bounds : tuple of float or None
        The range the definition gives.
    band : tuple of str or None
        Columns of the lower quartile, the median and the upper quartile over positions. The measure
        itself is that of the mean vectors and may lie outside: a mean is shorter than its parts.
    reference : float or None
        A value worth a line: 0 where the sign matters, 1 for a ratio.
    digits : int
        Decimals in hover boxes.
    """

    key: str
    label: str
    short: str
    formula: str
    bounds: tuple[float, float] | None = None
    band: tuple[str, str, str] | None = None
    reference: float | None = None
    digits: int = 4


_ALL = (
    Measure(
        "cosine", "cosine similarity", "cosine", "cos(s[l], t[l])", (-1, 1),
        ("cosine_q25", "cosine_q50", "cosine_q75"), 0.0,
    ),
    Measure(
        "euclidean", "Euclidean distance", "Euclidean", "||s[l] − t[l]||", None,
        ("euclidean_q25", "euclidean_q50", "euclidean_q75"),
    ),
    Measure("speech_norm", "norm of the speech mean", "speech norm", "||s[l]||", None,
            ("speech_token_norm_q25", "speech_token_norm_q50", "speech_token_norm_q75")),
    Measure("text_norm", "norm of the text mean", "text norm", "||t[l]||", None,
            ("text_token_norm_q25", "text_token_norm_q50", "text_token_norm_q75")),
    Measure("norm_ratio", "norm ratio, speech to text", "ratio", "||s[l]|| / ||t[l]||",
            None, None, 1.0),
    Measure("aps_cos", "Alignment Path Score (cosine)", "APS cos",
            "mean over j of S[i*(j), j], i*(j) = argmax over i of S[i, j]", (-1, 1), None, 0.0),
    Measure("aps_euc", "Alignment Path Score (Euclidean)", "APS euc",
            "mean over j of D[i*(j), j], i*(j) = argmin over i of D[i, j]"),
    Measure("aps_dtw_cos", "path score on the DTW path (cosine)", "DTW score cos",
            "mean over j of S[i, j] at j's pair on the DTW path", (-1, 1), None, 0.0),
    Measure("aps_dtw_euc", "path score on the DTW path (Euclidean)", "DTW score euc",
            "mean over j of D[i, j] at j's pair on the DTW path"),
    Measure("monotonicity", "monotonicity (Spearman's ρ)", "ρ cos",
            "Spearman's ρ between j and i*(j), cosine", (-1, 1), None, 0.0),
    Measure("monotonicity_euc", "monotonicity (Spearman's ρ), Euclidean", "ρ euc",
            "Spearman's ρ between j and i*(j), Euclidean", (-1, 1), None, 0.0),
)  # fmt: skip
MEASURES: dict[str, Measure] = {m.key: m for m in _ALL}
#: Variants of modgap's own, beside the measures of an analysis: see `measures.sinks`.
VARIANTS: dict[str, Measure] = {
    m.key: m
    for m in (
        Measure("filtered_aps_cos", "path score without sinks and silence (cosine)",
                "without sinks and silence",
                "mean over j of the highest S[i, j] of positions i that are no sink and not silent",
                (-1, 1), None, 0.0),
        Measure("filtered_aps_euc", "path score without sinks and silence (Euclidean)",
                "without sinks and silence",
                "mean over j of the lowest D[i, j] of positions i that are no sink and not silent"),
    )
}  # fmt: skip


def measure(key: str) -> Measure:
    """The measure of a column, or SettingsError naming the known ones."""
    try:
        return VARIANTS[key] if key in VARIANTS else MEASURES[key]
    except KeyError:
        raise SettingsError(
            f"Unknown measure {key!r}. Choose from {', '.join(MEASURES)}."
        ) from None
