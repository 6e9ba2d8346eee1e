"""How things are going: sign-ins, failures, live sessions, revocations, as numbers and pictures."""

from fastapi import APIRouter, Request, Response

from api.console import charts, parameters
from api.console.charts import Chart, Series
from api.console.rendering import page, redirect
from api.console.visitors import VisitorDep
from api.dependencies import SessionDep
from authentication.administration import statistics
from authentication.administration.statistics import Overview, Span

router = APIRouter()


@router.get("/")
def show_overview(request: Request, visitor: VisitorDep, db: SessionDep) -> Response:
    """For administrators; everybody else goes to their own account."""
    if not visitor.is_administrator:
        return redirect(request, "/account")
    overview = statistics.read_overview(db, parameters.choice(request, "span", Span.DAY))
    return page(
        request,
        "overview.html",
        overview=overview,
        span_name=_SPANS[overview.span],
        spans=[(one.value, _SPANS[one]) for one in Span],
        charts=_draw(overview),
        width=charts.WIDTH,
        height=charts.HEIGHT,
    )


_SPANS = {
    Span.DAY: "24\N{NO-BREAK SPACE}hours",
    Span.WEEK: "7\N{NO-BREAK SPACE}days",
    Span.MONTH: "30\N{NO-BREAK SPACE}days",
}


def _draw(overview: Overview) -> list[Chart]:
    return [
        charts.stacked(
            "sign-ins",
            "Sign-ins",
            overview,
            [Series("logins", "succeeded", "good"), Series("failures", "failed", "bad")],
        ),
        charts.line("open", "Open sessions", overview, Series("open", "open", "good")),
        charts.stacked(
            "revoked", "Sessions revoked", overview, [Series("revoked", "revoked", "gold")]
        ),
        charts.stacked(
            "throttled", "Limits reached", overview, [Series("throttled", "throttled", "bad")]
        ),
    ]
