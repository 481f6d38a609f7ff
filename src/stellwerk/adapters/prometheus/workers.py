"""Work on several things at once that Ctrl-C ends at once, also while an answer is waited for.

An executor of the standard library joins its threads at the end of the process: a database that hangs would
hold it up for the whole patience of a request. These threads die with the process; files are written whole or
not at all.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def in_order(work: Callable[[Item], Made], items: Sequence[Item], at_once: int) -> Iterator[Made]:
    """What `work` makes of each item, in order, `at_once` threads at work.

    The first failure ends it once what is under way is done; Ctrl-C does not wait for that.
    """
    futures: list[Future[Made]] = [Future() for _ in items]
    waiting = deque(zip(futures, items, strict=True))

    def run() -> None:
        while True:
            try:
                future, item = waiting.popleft()
            except IndexError:
                return
            try:
                future.set_result(work(item))
            except BaseException as error:
                future.set_exception(error)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(at_once, len(items)))]
    for thread in threads:
        thread.start()
    try:
        for future in futures:
            yield future.result()
    except Exception:
        waiting.clear()
        for thread in threads:
            thread.join()
        raise
    finally:
        waiting.clear()
