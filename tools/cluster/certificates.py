"""Certificates of a control plane: one authority, a server on 127.0.0.1, a client a user; by openssl."""

import subprocess
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
_TEN_YEARS = 3650
_DAYS = ("-days", str(_TEN_YEARS))
_USAGE = "keyUsage=critical,digitalSignature\n"
_SERVER = (
    f"{_USAGE}extendedKeyUsage=serverAuth\n"
    "subjectAltName=IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes.default.svc\n"
)
_CLIENT = f"{_USAGE}extendedKeyUsage=clientAuth\n"


def make_authority(folder: Path) -> None:
    """ca.crt and ca.key, and the key pair that signs tokens of service accounts (sa.key, sa.pub)."""
    folder.mkdir(parents=True, exist_ok=True)
    _openssl(
        *("req", "-x509", *_KEY, *_DAYS, "-subj", "/CN=stellwerk-test-ca"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"),
        *("-keyout", folder / "ca.key", "-out", folder / "ca.crt"),
    )
    _openssl("genrsa", "-out", folder / "sa.key", "2048")
    _openssl("rsa", "-in", folder / "sa.key", "-pubout", "-out", folder / "sa.pub")


def make_server(folder: Path, name: str) -> None:
    """A server's NAME.crt and NAME.key."""
    _sign(folder, name, f"/CN={name}", _SERVER)


def make_client(folder: Path, name: str, user: str, group: str = "", days: int = _TEN_YEARS) -> None:
    """A client's NAME.crt and NAME.key: the user, and perhaps the group, that the API server sees.

    Good for so many days; -1: it ended yesterday.
    """
    _sign(folder, name, (f"/O={group}" if group else "") + f"/CN={user}", _CLIENT, days)


def _sign(folder: Path, name: str, subject: str, extensions: str, days: int = _TEN_YEARS) -> None:
    request, file = folder / f"{name}.csr", folder / f"{name}.ext"
    file.write_text(extensions)
    _openssl("req", "-new", *_KEY, "-subj", subject, "-keyout", folder / f"{name}.key", "-out", request)
    _openssl(
        *("x509", "-req", "-days", str(days), "-in", request),
        *("-CA", folder / "ca.crt", "-CAkey", folder / "ca.key"),
        *("-CAcreateserial", "-extfile", file, "-out", folder / f"{name}.crt"),
    )
    request.unlink()
    file.unlink()


def _openssl(*words: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {words[0]}: {done.stderr.strip()[-300:]}")
