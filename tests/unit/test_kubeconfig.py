"""A kubeconfig is read as kubectl reads it; what is wrong in it is named, and no secret is shown."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from stellwerk.adapters.kube_store.kubeconfig import read_access
from stellwerk.api.errors import InvalidInput

SECRET = "s3cr3t-token"


def config(**changes: Any) -> dict[str, Any]:
    cluster = {"server": "https://api.example:6443", "certificate-authority": "pki/ca.crt"}
    found: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "blue", "cluster": cluster}],
        "users": [{"name": "me", "user": {"token": SECRET}}],
        "contexts": [{"name": "work", "context": {"cluster": "blue", "user": "me"}}],
        "current-context": "work",
    }
    return {**found, **changes}


def written(folder: Path, name: str, content: Any) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return str(path)


def test_the_current_context_is_taken_and_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    access = read_access(written(tmp_path, "a/config", config()))
    assert (access.context, access.server) == ("work", "https://api.example:6443")
    assert access.config.cluster.certificate_auth == str(tmp_path / "a" / "pki" / "ca.crt")
    assert access.config.user is not None and access.config.user.token == SECRET


def test_of_several_files_the_first_to_name_something_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/"""
    other = {"server": "https://other.example"}
    first = config(clusters=[], **{"current-context": "work"})
    second = config(
        clusters=[{"name": "blue", "cluster": other}],
        users=[{"name": "me", "user": {"token": "of the second file"}}],
        **{"current-context": "nobody"},
    )
    files = [written(tmp_path, "one", first), str(tmp_path / "none"), written(tmp_path, "two", second)]
    monkeypatch.setenv("KUBECONFIG", ":".join(files))
    access = read_access()
    assert (access.context, access.server) == ("work", "https://other.example")
    assert access.config.user is not None and access.config.user.token == SECRET


def test_a_pod_has_its_own_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    for name, text in (("token", SECRET), ("namespace", "lab"), ("ca.crt", "")):
        written(tmp_path, f"account/{name}", text)
    access = read_access(account=tmp_path / "account")
    assert (access.context, access.server) == ("in-cluster", "https://[fd00::1]:443")


def test_a_credential_plugin_is_told_what_kubectl_tells_it(tmp_path: Path) -> None:
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "bin/login",
        "args": ["get-token"],
        "provideClusterInfo": True,
    }
    access = read_access(written(tmp_path, "c", config(users=[{"name": "me", "user": {"exec": plugin}}])))
    user = access.config.user
    assert user is not None and user.exec is not None and user.exec.env is not None
    assert user.exec.command == str(tmp_path / "bin" / "login")
    told = json.loads(user.exec.env[-1].value)
    assert user.exec.env[-1].name == "KUBERNETES_EXEC_INFO"
    assert told["apiVersion"] == "client.authentication.k8s.io/v1" and told["spec"]["interactive"] is False
    assert told["spec"]["cluster"] == {"server": "https://api.example:6443"}


@pytest.mark.parametrize(
    ("content", "context", "words"),
    [
        (config(kind="Pod"), None, "no kubeconfig"),
        ("- a\n- b\n", None, "no kubeconfig"),
        (config(clusters="x"), None, "a list is expected"),
        (config(users=[{"user": {}}]), None, "a name is expected"),
        (config(contexts=[{"name": "work"}]), None, "an object is expected"),
        (config(**{"current-context": ""}), None, "names no current-context"),
        (config(), "wrk", "has no context wrk"),
        (config(clusters=[]), None, "has no cluster blue"),
        (config(users=[]), None, "has no user me"),
        (config(clusters=[{"name": "blue", "cluster": {"server": "api:6443"}}]), None, "no URL"),
        (config(clusters=[{"name": "blue", "cluster": {"server": f"https://a:{SECRET}@b"}}]), None, "no URL"),
        (config(users=[{"name": "me", "user": {"auth-provider": {"name": "gcp"}}}]), None, "removed it"),
        (
            config(users=[{"name": "me", "user": {"exec": {"apiVersion": "v1alpha1", "command": "x"}}}]),
            None,
            "v1 or v1beta1",
        ),
        (config(users=[{"name": "me", "user": {"token": 5}}]), None, "cannot be used"),
    ],
)
def test_what_is_wrong_is_named_and_no_secret_is(
    tmp_path: Path, content: Any, context: str | None, words: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_access(written(tmp_path, "c", content), context)
    assert words in str(caught.value) and caught.value.fix
    assert SECRET not in f"{caught.value} {caught.value.values} {caught.value.fix}"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="does not exist"):
        read_access(str(tmp_path / "none"))
