"""Keeps other people's web pages out: allowed Host names and the security headers."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
import socket

_INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


class Guard:
    """Decides which Host names are served, and holds the headers of every answer."""

    def __init__(self, host: str, html: str) -> None:
        """`host`: where the page listens; `html`: the page, whose inline script and style alone may run."""
        machine = socket.gethostname().lower()
        self._names = {"localhost", host.lower(), machine, f"{machine}.local"}
        self.headers = {
            "Content-Security-Policy": _policy(html),
            "Cache-Control": "no-store",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
            "Referrer-Policy": "no-referrer",
            "Server": "edge-agent",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }

    def allows(self, host_header: str) -> bool:
        """Whether a request with this Host header is for us.

        A foreign page can let its own name point at 127.0.0.1 and so read what only this machine may see
        (DNS rebinding). It can't do that with an address or with this machine's name.
        """
        name = host_header.lower()
        name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _policy(html: str) -> str:
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for tag, text in _INLINE.findall(html):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        hashes[tag].append(f"'sha256-{digest}'")
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(hashes['script'])}",
            f"style-src {' '.join(hashes['style'])}",
            "img-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
