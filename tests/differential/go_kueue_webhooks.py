"""Random manifests with the answers of an API server that has Kueue: taken, or refused and for which fields.

`python -m tests.differential.go_kueue_webhooks PROGRAM CRDS COUNT [FIRST] > FILE` asks COUNT objects of each
kind; PROGRAM is built from go_kueue_webhooks/oracle_test.go, CRDS is Kueue's config/components/crd/bases.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.differential.webhook_cases import KINDS, random_objects

Json = dict[str, Any]


def answers(program: str, crds: str, objects: Sequence[Json]) -> list[Json]:
    """What is said of each object: `by` ("" for taken, decode, apiserver, crd, webhook) and its `causes`."""
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "in.jsonl"), Path(folder, "out.jsonl")
        asked.write_text("".join(json.dumps(one) + "\n" for one in objects))
        world = os.environ | {"ORACLE_IN": str(asked), "ORACLE_OUT": str(answered), "ORACLE_CRDS": crds}
        subprocess.run(
            [program, "-test.run", "TestWebhookOracle"], env=world, check=True, capture_output=True
        )
        return [json.loads(line) for line in answered.read_text().splitlines()]


def fields(answer: Json) -> list[str]:
    """The fields that are refused, each once; "" is the whole object, and left out where another is named.

    The API server also says of the whole object that rules were not asked since something else is wrong.
    """
    found = {one["field"].removeprefix("<nil>") for one in answer.get("causes", ())}
    return sorted(found - {""} or found)


def main(program: str, crds: str, count: str, first: str = "0") -> None:
    """Write the objects with their answers."""
    objects = [one for kind in KINDS for one in random_objects(kind, int(count), int(first))]
    for one, answer in zip(objects, answers(program, crds, objects), strict=True):
        print(json.dumps({"object": one, "by": answer["by"], "fields": fields(answer)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
