"""Which cluster, with which credentials: kubeconfig files as kubectl reads them, or the pod's own account.

Files of KUBECONFIG are merged, the first to name something wins, and paths in a file are relative to it:
https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
What the credentials need (certificates, tokens, credential plugins) is done by lightkube.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct

from stellwerk.adapters.files import MIB, read_raw
from stellwerk.adapters.rows import shown
from stellwerk.api.documents import read_documents
from stellwerk.api.errors import InvalidInput
from stellwerk.catalog.nearest import nearest

if TYPE_CHECKING:
    from lightkube.config.kubeconfig import SingleConfig

DEFAULT = "~/.kube/config"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
LISTS = {"clusters": "cluster", "contexts": "context", "users": "user"}
PATHS = frozenset({"certificate-authority", "client-certificate", "client-key", "tokenFile"})
_CREDENTIALS = "client.authentication.k8s.io/"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Access(Struct, frozen=True, kw_only=True):
    """How a cluster is reached. `server` has no credentials in it: it may be printed; `config` may not."""

    context: str
    server: str
    config: "SingleConfig"
    proxy: str | None = None
    tls_server_name: str = ""

    @property
    def loopback(self) -> bool:
        """Whether it is on this machine: then no proxy of the environment is between."""
        return urlsplit(self.server).hostname in _LOOPBACK


def read_access(path: str = "", context: str | None = None, account: Path = ACCOUNT) -> Access:
    """The access that a kubeconfig's context describes.

    `path`: the file; "": those of KUBECONFIG, else ~/.kube/config, else the service account of the pod that
    this runs in. `context`: another one than the current. Raises InvalidInput, which never shows a secret.
    """
    named = path or os.environ.get("KUBECONFIG", "")
    files = [path] if path else [each for each in named.split(os.pathsep) if each]
    if not files:
        default = Path(DEFAULT).expanduser()
        if not default.is_file() and account.is_dir():
            return _of_account(account)
        files = [str(default)]
    elif not path and len(files) > 1:
        # kubectl passes over files of KUBECONFIG that are not there.
        files = [each for each in files if Path(each).exists()] or files[:1]
    return _of_files([_read(file) for file in files], ", ".join(files), context)


def _of_account(account: Path) -> Access:
    from lightkube.config.kubeconfig import KubeConfig
    from lightkube.core.exceptions import ConfigError

    try:
        config = KubeConfig.from_service_account(str(account)).get()
    except (ConfigError, KeyError, OSError) as error:
        raise InvalidInput(
            "the service account of this pod cannot be used: {words}",
            fix="run it in a pod with a mounted token, or name a file: --kubeconfig FILE",
            words=shown(str(error), 200),
        ) from None
    assert config is not None, "a service account is one context"
    return Access(context="in-cluster", server=config.cluster.server, config=config)


def _read(file: str) -> dict[str, Any]:
    """One file, its paths made absolute. Raises InvalidInput."""
    documents = [found for _, found in read_documents(read_raw(Path(file).expanduser(), 8 * MIB), file)]
    found = documents[0] if len(documents) == 1 else None
    if not isinstance(found, dict) or found.get("kind", "Config") != "Config":
        raise _wrong(file, "kind", "it is no kubeconfig: one document with kind: Config is expected")
    folder = Path(file).expanduser().absolute().parent
    for plural, single in LISTS.items():
        items = found.get(plural) or []
        if not isinstance(items, list):
            raise _wrong(file, plural, "a list is expected")
        for i, item in enumerate(items):
            if not isinstance(item, dict) or not isinstance(item.get("name"), str):
                raise _wrong(file, f"{plural}[{i}].name", "a name is expected")
            if not isinstance(item.get(single), dict):
                raise _wrong(file, f"{plural}[{i}].{single}", "an object is expected")
            item[single] = dict(_absolute(item[single], folder))
        found[plural] = items
    return found


def _absolute(fields: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if name in PATHS and isinstance(value, str) and value:
            yield name, str(folder / Path(value).expanduser())
        elif name == "exec" and isinstance(value, dict) and "/" in str(value.get("command", "")):
            yield name, {**value, "command": str(folder / value["command"])}
        elif value is not None:
            yield name, value


def _wrong(file: str, path: str, words: str) -> InvalidInput:
    return InvalidInput(
        "the kubeconfig cannot be used: {words}",
        fix="see: kubectl config view --kubeconfig {file}",
        source=file,
        path=path,
        words=words,
        file=file,
    )


def _of_files(files: list[dict[str, Any]], source: str, context: str | None) -> Access:
    merged: dict[str, dict[str, dict[str, Any]]] = {plural: {} for plural in LISTS}
    for found in files:
        for plural, single in LISTS.items():
            for item in found[plural]:
                merged[plural].setdefault(item["name"], item[single])
    current = context or next(
        (str(each["current-context"]) for each in files if each.get("current-context")), ""
    )
    chosen = _one(merged["contexts"], current, ("current-context", source))
    cluster = _one(
        merged["clusters"], chosen.get("cluster"), (f"contexts[{current}].context.cluster", source)
    )
    user = {}
    if chosen.get("user"):
        user = _one(merged["users"], chosen["user"], (f"contexts[{current}].context.user", source))
    return _access(current, _checked(cluster, source), _with_plugin(user, cluster, source))


def _one(named: Mapping[str, dict[str, Any]], name: Any, where: tuple[str, str]) -> dict[str, Any]:
    path, source = where
    if isinstance(name, str) and name in named:
        return named[name]
    if not name:
        raise InvalidInput(
            "the kubeconfig names no {what}",
            fix="choose one of: {near}, by --context NAME",
            source=source,
            path=path,
            what=path,
            near=", ".join(sorted(named)[:5]) or "(it has none)",
        )
    raise InvalidInput(
        "the kubeconfig has no {what} {name}",
        fix="write one of: {near}",
        source=source,
        path=path,
        what=path.rpartition(".")[2].removeprefix("current-"),
        name=shown(str(name), 80),
        near=nearest(str(name)[:80], dict.fromkeys(named, "")) or "(it has none)",
    )


def _checked(cluster: dict[str, Any], source: str) -> dict[str, Any]:
    """The cluster, with a server that is a URL."""
    server = str(cluster.get("server", ""))
    try:
        parts = urlsplit(server)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port is not False
    except ValueError:
        usable = False
    if not usable or "@" in server:
        raise InvalidInput(
            "the kubeconfig's server is no URL of an API server",
            fix="write it as https://HOST:6443",
            source=source,
            path="clusters[].cluster.server",
        )
    return {**cluster, "server": server.rstrip("/")}


def _with_plugin(user: dict[str, Any], cluster: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The user, its credential plugin told what kubectl tells it (KUBERNETES_EXEC_INFO).

    lightkube takes v1beta1; v1 has the same answer, and the plugin reads the version from what it is told:
    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#input-and-output-formats
    """
    if "auth-provider" in user:
        raise _wrong(source, "users[].user.auth-provider", "Kubernetes 1.26 removed it; use a plugin (exec)")
    plugin = user.get("exec")
    if not isinstance(plugin, dict):
        return user
    version = str(plugin.get("apiVersion", ""))
    if version not in (f"{_CREDENTIALS}v1", f"{_CREDENTIALS}v1beta1"):
        raise _wrong(source, "users[].user.exec.apiVersion", f"{_CREDENTIALS}v1 or v1beta1 is expected")
    spec: dict[str, Any] = {"interactive": False}
    if plugin.get("provideClusterInfo"):
        spec["cluster"] = {
            key: value
            for key, value in cluster.items()
            if key in ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data")
        }
    told = {"apiVersion": version, "kind": "ExecCredential", "spec": spec}
    env = [*(plugin.get("env") or []), {"name": "KUBERNETES_EXEC_INFO", "value": json.dumps(told)}]
    return {**user, "exec": {**plugin, "apiVersion": f"{_CREDENTIALS}v1beta1", "env": env}}


def _access(context: str, cluster: dict[str, Any], user: dict[str, Any]) -> Access:
    import msgspec
    from lightkube.config.kubeconfig import KubeConfig
    from lightkube.config.models import Cluster, User

    try:
        one = KubeConfig.from_one(
            cluster=msgspec.convert(cluster, Cluster), user=msgspec.convert(user, User), context_name=context
        ).get()
    except msgspec.ValidationError as error:
        raise InvalidInput(
            "the kubeconfig cannot be used: {words}",
            fix="see: kubectl config view",
            words=shown(str(error), 200),
        ) from None
    assert one is not None, "there is one context"
    return Access(
        context=context,
        server=cluster["server"],
        config=one,
        proxy=cluster.get("proxy-url"),
        tls_server_name=str(cluster.get("tls-server-name", "")),
    )
