"""Whose requests the explorer answers: those to its own names, from its own pages.

A web site that resolves its name to this machine (DNS rebinding) sends its own `Host`; a page of
another server of this machine sends its own `Origin`. Streamlit looks at both for its websocket
alone, and takes every port of this machine for its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

__all__ = ["LOOPBACK", "is_host_allowed", "is_origin_allowed"]

#: The names of a server whose operator allows no others.
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PORTS = {"http": 80, "https": 443}


def is_host_allowed(host: str | None, allowed: Sequence[str]) -> bool:
    """Whether a `Host` header names this server.

    Parameters
    ----------
    host : str or None
        The header; its port does not matter.
    allowed : sequence of str
        As Streamlit's ``server.allowedHosts``: names, ``*.`` before all of a domain, ``*`` for any.
        Without one, `LOOPBACK`.
    """
    place = _place(host, 80)
    if place is None:
        return False
    name = place[0]
    patterns = [p.strip().lower().strip("[]").rstrip(".") for p in allowed] or list(LOOPBACK)
    return any(
        p == "*" or name == p or (p.startswith("*.") and name.endswith(p[1:])) for p in patterns
    )


def is_origin_allowed(origin: str | None, host: str | None, others: Sequence[str] = ()) -> bool:
    """Whether a page of this origin may talk to the server: one of the same name and port.

    Parameters
    ----------
    origin : str or None
        The `Origin` header; None (no browser, or a page's own request that changes nothing) is
        fine, ``"null"`` is foreign.
    host : str or None
        The `Host` header. A proxy that ends TLS keeps it, so the scheme is not compared.
    others : sequence of str
        Whole origins that the operator trusts (``server.corsAllowedOrigins``).
    """
    if origin is None or origin in others:
        return True
    scheme, separator, rest = origin.partition("://")
    port = _PORTS.get(scheme.lower())
    if not separator or port is None:
        return False
    here = _place(host, port)
    return here is not None and _place(rest, port) == here


def _place(text: str | None, port: int) -> tuple[str, int] | None:
    """Name and port of ``name[:port]``; None where it is anything else."""
    if not text:
        return None
    try:
        parts = urlsplit(f"//{text}")
        number = parts.port  # which checks that it is one
    except ValueError:
        return None
    if parts.netloc != text or "@" in text or not parts.hostname:
        return None
    return parts.hostname.lower().rstrip("."), port if number is None else number
