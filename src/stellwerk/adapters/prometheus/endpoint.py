"""Where the database answers, and how it wants to be asked: URL, headers, credentials, TLS.

The file of `--http-config` has the fields of Prometheus' own http_config (`basic_auth`, `authorization`,
`tls_config`, `http_headers`, `proxy_url`), as promtool's `--http.config.file` takes it:
https://prometheus.io/docs/prometheus/latest/configuration/configuration/#http_config
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit
from urllib.request import getproxies

import msgspec
from msgspec import Struct

from stellwerk.adapters.files import MIB, read_input
from stellwerk.adapters.rows import shown
from stellwerk.api.errors import InvalidInput

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_TLS_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}


class Patience(Struct, frozen=True):
    """How long an answer may take, how often it is asked for, and the first wait between (it doubles)."""

    timeout_s: float = 120.0
    tries: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0


class Endpoint(Struct, frozen=True, kw_only=True):
    """A database's API. `url` has no credentials in it: it may be printed; `headers` may not."""

    url: str
    headers: Mapping[str, str] = {}
    basic: tuple[str, str] | None = None
    tls: ssl.SSLContext | None = None
    proxy: str | None = None
    patience: Patience = Patience()

    @property
    def loopback(self) -> bool:
        """Whether it is on this machine: then no proxy of the environment is between."""
        return urlsplit(self.url).hostname in LOOPBACK

    @property
    def tenant(self) -> str:
        """What tells two tenants behind one URL apart: the header that Mimir, Cortex and Thanos name."""
        return next((value for name, value in self.headers.items() if name.lower() == "x-scope-orgid"), "")


class _BasicAuth(Struct, forbid_unknown_fields=True):
    username: str = ""
    username_file: str = ""
    password: str = ""
    password_file: str = ""


class _Authorization(Struct, forbid_unknown_fields=True):
    type: str = "Bearer"
    credentials: str = ""
    credentials_file: str = ""


class _TlsConfig(Struct, forbid_unknown_fields=True):
    ca: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    min_version: str = ""
    insecure_skip_verify: bool = False


class _Header(Struct, forbid_unknown_fields=True):
    values: list[str] = []
    secrets: list[str] = []
    files: list[str] = []


class _HttpConfig(Struct, forbid_unknown_fields=True):
    basic_auth: _BasicAuth | None = None
    authorization: _Authorization | None = None
    tls_config: _TlsConfig | None = None
    http_headers: dict[str, _Header] = {}
    proxy_url: str | None = None


def read_endpoint(url: str, http_config: str | None = None, headers: tuple[str, ...] = ()) -> Endpoint:
    """The endpoint at `url` (http or https, with the tenant's path, perhaps user:password@).

    `http_config` is a file, `headers` are "Name: value". Raises InvalidInput, which never shows a secret.
    """
    plain, basic = _split(url)
    config, folder = _read_config(http_config)
    found = dict(map(_header, headers))
    for name, header in config.http_headers.items():
        parts = [*header.values, *header.secrets, *(_secret(file, folder) for file in header.files)]
        found[name] = ",".join(parts)
    if config.authorization:
        given = config.authorization
        secret = given.credentials or _secret(given.credentials_file, folder)
        found["Authorization"] = f"{given.type} {secret}"
    if config.basic_auth:
        given_basic = config.basic_auth
        basic = (
            given_basic.username or _secret(given_basic.username_file, folder),
            given_basic.password or _secret(given_basic.password_file, folder),
        )
    _check_headers(found)
    tls = _tls(config.tls_config, folder) if config.tls_config else None
    endpoint = Endpoint(url=plain, headers=found, basic=basic, tls=tls, proxy=config.proxy_url or None)
    if endpoint.proxy is not None:
        _check_proxy("proxy_url", endpoint.proxy)
    if not endpoint.loopback:
        _check_environment(endpoint)
    return endpoint


def _check_proxy(name: str, url: str) -> None:
    """Raise InvalidInput, without the URL: it may hold a password."""
    if not _asks(url) or urlsplit(url).scheme not in ("http", "https"):
        raise InvalidInput(
            "{name} is no URL of a proxy for HTTP",
            fix="write it as http://proxy:3128 or https://...; others, such as socks5, are not spoken here",
            name=name,
        )


def _check_environment(endpoint: Endpoint) -> None:
    """Raise InvalidInput where a client could not even be made with what the environment says."""
    import httpx

    if endpoint.proxy is None:
        found = getproxies()
        for scheme in ("http", "https", "all"):
            url = found.get(scheme, "")
            if url:
                _check_proxy(f"{scheme.upper()}_PROXY", url if "://" in url else f"http://{url}")
    try:
        httpx.Client(proxy=endpoint.proxy, verify=endpoint.tls or True).close()
    except (OSError, ValueError, httpx.InvalidURL) as error:
        raise InvalidInput(
            "what the environment says of HTTP cannot be used: {words}",
            fix="look at NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR",
            words=shown(getattr(error, "strerror", None) or str(error), 200),
        ) from None


def _asks(url: str) -> bool:
    """Whether a request can be sent to the URL's host: a name that IDNA and DNS allow, and a port."""
    import httpx

    try:
        host, _ = httpx.URL(url).host, urlsplit(url).port
        host.encode("idna")
    except (ValueError, httpx.InvalidURL):
        return False
    return bool(host)


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        text = f"{name}{value}"
        if not name.strip() or not text.isascii() or not text.isprintable():
            raise InvalidInput(
                'the header "{name}" has no name, or a character that HTTP does not allow',
                fix="write it as --header 'X-Scope-OrgID: team'; a secret's file has it on one line",
                name=shown(name),
            )


def _split(url: str) -> tuple[str, tuple[str, str] | None]:
    """The URL without credentials and the API's own path, and the credentials that stood in it."""
    try:
        parts = urlsplit(url.strip())
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        parts, port, host = urlsplit(""), None, ""
    _check_rest(parts)
    if parts.scheme not in ("http", "https") or not host or not url.isascii() or not _asks(url.strip()):
        # What stands before an @ may be a password.
        raise InvalidInput(
            '--prometheus: "{url}" is no URL of a database',
            fix="write it as --prometheus http://prometheus.monitoring:9090, with the tenant's path",
            url=shown(url.rpartition("@")[2], 200),
        )
    basic = None
    if parts.username is not None:
        basic = (unquote(parts.username), unquote(parts.password or ""))
    name = f"[{host}]" if ":" in host else host
    path = parts.path.rstrip("/").removesuffix("/api/v1/query").removesuffix("/api/v1").rstrip("/")
    return urlunsplit((parts.scheme, name if port is None else f"{name}:{port}", path, "", "")), basic


def _check_rest(parts: SplitResult) -> None:
    """Raise InvalidInput for what would be dropped, or is a password in the wrong place; it is not shown."""
    if "@" in parts.path:
        raise InvalidInput(
            "--prometheus: the path of the URL has an @",
            fix="write a / in a password as %2F, and an @ in a path as %40; or give the password in a file: "
            "--http-config FILE",
        )
    if parts.query or parts.fragment:
        raise InvalidInput(
            "--prometheus: what stands behind ? or # in the URL would not be sent",
            fix="leave it out: a tenant is a path (/select/0/prometheus) or a header "
            "(--header 'X-Scope-OrgID: team'); a proxy such as vmauth can add parameters to each request",
        )


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise InvalidInput(
            '--header: "{name}" has no colon',
            fix="write it as --header 'X-Scope-OrgID: team'",
            name=shown(name),
        )
    return name.strip(), value.strip()


def _read_config(path: str | None) -> tuple[_HttpConfig, Path]:
    if path is None:
        return _HttpConfig(), Path()
    if not path:
        raise InvalidInput(
            "{option} names nothing", fix="name it, or leave {option} out", option="--http-config"
        )
    try:
        config = msgspec.yaml.decode(read_input(path, MIB), type=_HttpConfig | None)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # The parser's words may quote a line with a secret; those of msgspec name a field only.
        words = str(error) if isinstance(error, msgspec.ValidationError) else "it is no YAML"
        raise InvalidInput(
            "{name} is no http_config of Prometheus: {words}",
            fix="its fields are basic_auth, authorization, tls_config, http_headers, proxy_url",
            source=path,
            name=path,
            words=shown(words, 200),
        ) from None
    return config or _HttpConfig(), Path(path).parent


def _secret(file: str, folder: Path) -> str:
    """What a file holds; relative to the configuration's folder, as Prometheus takes it."""
    if not file:
        return ""
    return read_input(folder / file, MIB).decode("utf-8", "replace").strip()


def _tls(config: _TlsConfig, folder: Path) -> ssl.SSLContext:
    name = config.ca_file or config.cert_file or "tls_config"
    try:
        context = ssl.create_default_context(
            cafile=str(folder / config.ca_file) if config.ca_file else None, cadata=config.ca or None
        )
        if config.cert_file:
            name = config.cert_file
            key = str(folder / config.key_file) if config.key_file else None
            context.load_cert_chain(str(folder / config.cert_file), key)
        if config.min_version:
            name = config.min_version
            context.minimum_version = _TLS_VERSIONS[config.min_version]
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInput(
            "tls_config: {name} cannot be used: {words}",
            fix="ca_file, cert_file and key_file are PEM files; min_version is TLS12 or TLS13",
            name=name,
            words=shown(getattr(error, "strerror", None) or str(error), 200),
        ) from None
    if config.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
