"""Whoever is asked over the network: certificates, proxies, and errors that show no password."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modgap.core.errors import ModelError

if TYPE_CHECKING:
    import requests

__all__ = ["Peer", "host"]

TIMEOUT = (15.0, 60.0)  # seconds to connect, and between two bytes


class Peer:
    """Whoever files are fetched from, with what the user has set for such connections.

    Parameters
    ----------
    verify : str or None
        File or folder of certificates to trust; by default requests' own rule
        (``REQUESTS_CA_BUNDLE``, else certifi).
    proxy : str or None
        By default the environment's (``HTTPS_PROXY`` and so on).
    """

    def __init__(self, verify: str | None = None, proxy: str | None = None) -> None:
        import requests

        self.session = requests.Session()
        self.options: dict[str, Any] = {"timeout": TIMEOUT}
        if verify:
            self.options["verify"] = verify
        if proxy:
            self.options["proxies"] = {"http": proxy, "https": proxy}

    def get(
        self, url: str, headers: Mapping[str, str], auth: tuple[str, str] | None, *, stream: bool
    ) -> requests.Response:
        """GET; redirects are followed.

        Raises
        ------
        ModelError
            Trying again makes no sense; the message names the host, never the whole address, which
            may hold a password.
        ConnectionError
            It might.
        """
        import requests

        try:
            return self.session.get(
                url, headers=dict(headers), auth=auth, stream=stream, **self.options
            )
        except requests.exceptions.SSLError as problem:
            raise ModelError(
                f"{host(url)} shows a certificate that is not trusted here: set PIP_CERT or "
                "REQUESTS_CA_BUNDLE to your network's certificates."
            ) from problem
        except requests.exceptions.ProxyError as problem:
            raise ModelError(
                f"The proxy does not lead to {host(url)}: check HTTPS_PROXY, or pip's setting "
                "`proxy`."
            ) from problem
        except (
            requests.exceptions.InvalidURL,
            requests.exceptions.InvalidSchema,
            requests.exceptions.MissingSchema,
        ):
            raise ModelError(f"The address at {host(url)} is none that can be fetched.") from None
        except requests.RequestException as problem:
            raise ConnectionError(f"{host(url)} cannot be reached") from problem
        except OSError as problem:  # how requests tells of a file of certificates that is not there
            raise ModelError(
                f"The connection to {host(url)} cannot be made: check PIP_CERT, pip's setting "
                "`cert`, or REQUESTS_CA_BUNDLE."
            ) from problem


def host(url: str) -> str:
    """The part of an address that may be shown: no user, no password, no signature."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "the server"
    return f"{parts.hostname}{port}" if parts.hostname else "the server"
