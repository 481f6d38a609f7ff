"""URLs as Go's net/url reads them, as far as `url()` and `isURL()` show."""

import re
from typing import NamedTuple

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.S)
_HOST = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:\[\]<>\"%\x80-\U0010ffff]*")
_PORT = re.compile(r"(?::[0-9]*)?")
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PLAIN = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~$&+,/:;=@!'()*[]%")


class Url(NamedTuple):
    """The parts that expressions can ask for; `text` is what two URLs are compared by."""

    scheme: str
    host: str
    path: str
    query: str
    text: str

    def hostname(self) -> str:
        """The host without its port and without brackets."""
        if self.host.startswith("["):
            return self.host[1:].split("]", 1)[0]
        return self.host.partition(":")[0]

    def port(self) -> str:
        """The port, or nothing."""
        rest = self.host.rsplit("]", 1)[-1]
        return rest.partition(":")[2]

    def values(self) -> dict[str, list[str]]:
        """The query's values by name; what cannot be decoded is left out."""
        found: dict[str, list[str]] = {}
        for pair in self.query.split("&"):
            name, _, value = pair.partition("=")
            if pair and ";" not in pair and not _PERCENT.search(pair):
                found.setdefault(_decoded(name), []).append(_decoded(value))
        return found


def parse_url(text: str) -> Url:
    """An absolute URL, or a path that begins with a slash; raises ValueError with Go's message."""
    if not text:
        raise ValueError('parse "": empty url')
    if any(ord(each) < 0x20 or ord(each) == 0x7F for each in text):
        raise ValueError(f'parse "{text}": net/url: invalid control character in URL')
    before, _, fragment = text.partition("#")
    match = _SCHEME.fullmatch(before)
    scheme, rest = (match[1].lower(), match[2]) if match else ("", before)
    if rest.startswith("/") or (scheme and not rest.startswith("/")):
        rest, _, query = rest.partition("?")
    else:
        raise ValueError(f'parse "{text}": invalid URI for request')
    if not rest.startswith("/"):  # Such as mailto:someone: Go does not take it for a request.
        if scheme and rest:
            return Url(scheme, "", "", query, text)
        raise ValueError(f'parse "{text}": invalid URI for request')
    host, path = "", rest
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, tail = rest[2:].partition("/")
        host, path = _host(authority, text), slash + tail
    if _PERCENT.search(path):
        wrong = path[path.index(_PERCENT.search(path)[0]) :][:3]  # type: ignore[index]
        raise ValueError(f'parse "{text}": invalid URL escape "{wrong}"')
    return Url(scheme, host, _escaped(path), query, f"{scheme}://{host}{path}?{query}#{fragment}")


def _host(authority: str, text: str) -> str:
    host = authority.rpartition("@")[2]
    if not _HOST.fullmatch(host):
        wrong = next(each for each in host if not _HOST.fullmatch(each))
        raise ValueError(f'parse "{text}": invalid character "{wrong}" in host name')
    if host.startswith("["):
        end = host.find("]")
        if end < 0:
            raise ValueError(f"parse \"{text}\": missing ']' in host")
        port = host[end + 1 :]
    else:
        colon = host.find(":")
        port = host[colon:] if colon >= 0 else ""
    if not _PORT.fullmatch(port):
        raise ValueError(f'parse "{text}": invalid port "{port}" after host')
    return host


def _escaped(path: str) -> str:
    return "".join(
        each if each in _PLAIN else "".join(f"%{byte:02X}" for byte in each.encode("utf-8", "replace"))
        for each in path
    )


def _decoded(text: str) -> str:
    parts = text.replace("+", " ").split("%")
    data = parts[0].encode()
    for part in parts[1:]:
        data += bytes([int(part[:2], 16)]) + part[2:].encode()
    return data.decode("utf-8", "replace")
