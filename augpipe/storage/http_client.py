"""How web servers are asked: time limits, and redirects only within the host that the user has named."""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from augpipe.core.errors import one_line

_PORTS = {"http": 80, "https": 443}


class Elsewhere(Exception):
    """A redirect that leads to another host than the one asked."""


def client_options(connect: float, read: float, whole: float) -> dict[str, Any]:
    """Arguments of an aiohttp session; the seconds are those to connect, for each answer, and for all of a file."""
    import aiohttp

    limits = aiohttp.ClientTimeout(whole, sock_connect=connect, connect=None, sock_read=read)
    redirects = aiohttp.TraceConfig()
    redirects.on_request_redirect.append(_check_redirect)
    # Without compression on the way, which would change sizes.
    headers = {"Accept-Encoding": "identity"}
    return {"timeout": limits, "trust_env": True, "headers": headers, "trace_configs": [redirects]}


async def _check_redirect(session: object, context: object, redirect: Any) -> None:
    """Called by aiohttp before it follows a redirect."""
    answer = redirect.response
    target = answer.headers.get("Location") or answer.headers.get("URI") or ""
    if why := leads_elsewhere(str(redirect.url), target):
        answer.close()
        raise Elsewhere(why)


def leads_elsewhere(url: str, target: str) -> str:
    """Why a redirect from ``url`` to ``target``, which may be relative, is not followed; "" if it is.

    The host stays the same, and so do scheme and port, but that http may become https.
    """
    try:
        there, here = urlsplit(urljoin(url, target)), urlsplit(url)
        if there.scheme in _PORTS and there.hostname == here.hostname:
            both = _port(here), _port(there)
            if (there.scheme == here.scheme and both[0] == both[1]) or (there.scheme == "https" and both == (80, 443)):
                return ""
        if there.scheme in _PORTS and there.hostname:
            place = one_line(there.netloc.rpartition("@")[2], 120)
            return f"the server sends it on to another host, {place}; name that URL if you trust it"
        return f"the server sends it on to {one_line(there.scheme, 40)}://, which is not followed"
    except ValueError:
        return "the server sends it on to what is no URL"


def _port(parts: SplitResult) -> int:
    return parts.port or _PORTS[parts.scheme]
