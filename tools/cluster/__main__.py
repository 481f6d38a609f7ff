"""Usage: python -m tools.cluster build|up|down [FOLDER]      A real Kubernetes, from Go modules."""

import sys
from pathlib import Path

from tools.cluster.build import BuildFailed, build, kept
from tools.cluster.parts import start_karpenter, start_kueue
from tools.cluster.stack import NotStarted, Stack, stop_recorded


def main(words: list[str]) -> int:
    """Build, start or stop; 0 done, 1 it could not be done, 2 not understood."""
    verb, folder = (words or [""])[0], Path(words[1]) if len(words) > 1 else kept() / "run"
    try:
        if verb == "build":
            build()
        elif verb == "up":
            build()
            stack = Stack(folder)
            stack.start()
            start_kueue(stack)
            start_karpenter(stack)
            print(f"export KUBECONFIG={stack.kubeconfig('admin')} PATH={kept() / 'bin'}:$PATH")
        elif verb == "down":
            for line in stop_recorded(folder):
                print(line)
        else:
            print(__doc__, file=sys.stderr)
            return 2
    except (BuildFailed, NotStarted) as error:
        print(f"stellwerk: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
