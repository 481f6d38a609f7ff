"""The page and its files as an ASGI application; it reads a view, and changes nothing."""

from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stellwerk.adapters.metrics.family import Family
from stellwerk.adapters.metrics.text import exposed_text
from stellwerk.report.html import render_page
from stellwerk.report.text import Language, msg, one_line, translator
from stellwerk.report.view import PageView

ReadView = Callable[[], PageView]
Files = Callable[[str], bytes | None]
ReadMetrics = Callable[[], Sequence[Family]]
Tell = Callable[[str], object]
HEADERS = {
    # Nothing is loaded from anywhere: a page that a manifest's text broke out of could still do nothing.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
REASON_LIMIT = 300
DOWNLOADS = {
    "report.html": "text/html; charset=utf-8",
    "receipt.json": "application/json",
    "result.json": "application/json",
}


def create_app(
    read_view: ReadView,
    files: Files,
    lang: Language,
    read_metrics: ReadMetrics = tuple,
    tell: Tell = lambda _line: None,
) -> Starlette:
    """`/` shows `read_view()`; `files` gives a finished file by name, or None while it is not there.

    `/metrics` gives `read_metrics()` and the process's own figures, as text for Prometheus.
    `tell` hears one line for each answer 500. A page of a finished run is rendered once: its pictures take a
    second.
    """
    finished: list[tuple[PageView, str]] = []

    def page(_request: Request) -> Response:
        view = read_view()
        if finished and finished[0][0] is view:
            return Response(finished[0][1], media_type="text/html", headers=HEADERS)
        text = render_page(view, lang)
        if view.state != "running":
            finished[:] = [(view, text)]
        return Response(text, media_type="text/html", headers=HEADERS)

    def download(request: Request) -> Response:
        name = request.url.path.removeprefix("/")
        content = files(name)
        if content is None:
            return PlainTextResponse(f"{name} is written when the run is done\n", 404, headers=HEADERS)
        disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(content, headers={**HEADERS, **disposition}, media_type=DOWNLOADS[name])

    def metrics(request: Request) -> Response:
        text, content_type = exposed_text(read_metrics(), request.headers.get("accept", ""))
        # Not as media_type: Starlette would add a second charset.
        return Response(text, headers={**HEADERS, "Content-Type": content_type})

    def broken(request: Request, error: Exception) -> Response:
        # Who asked learns nothing of it; who runs the server must.
        reason = one_line(f"{type(error).__name__}: {error}")[:REASON_LIMIT]
        tell(translator(lang)(BROKEN, path=request.url.path, reason=reason))
        return PlainTextResponse("500 Internal Server Error\n", 500, headers=HEADERS)

    routes = [
        Route("/", page),
        Route("/metrics", metrics),
        Route("/healthz", _healthz),
        *(Route(f"/{name}", download) for name in DOWNLOADS),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _plain, Exception: broken})


def _healthz(_request: Request) -> Response:
    return PlainTextResponse("ok\n", headers=HEADERS)


def _plain(_request: Request, error: Exception) -> Response:
    """404 and 405, as one line of text."""
    assert isinstance(error, HTTPException), "it is registered for these only"
    extra = dict(error.headers or {})
    return PlainTextResponse(
        f"{error.status_code} {error.detail}\n", error.status_code, headers={**HEADERS, **extra}
    )


BROKEN = msg("{path} was answered with 500, by a mistake of Stellwerk's own: {reason}")
