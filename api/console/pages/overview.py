"""The overview page: sign-ins, failures, open sessions and revocations as numbers and charts."""

from fastapi import APIRouter, Request, Response

from api.console import charts
from api.console.charts import Chart, Series
from api.dependencies import SessionDep
from api.web import parameters
from api.web.rendering import page, redirect
from api.web.signed_in_user import SignedInUserDep
from authentication.administration import statistics
from authentication.administration.statistics import Overview, Period

router = APIRouter()


@router.get("/")
def show_overview(request: Request, user: SignedInUserDep, db: SessionDep) -> Response:
    """The overview for administrators. Other users are redirected to their account."""
    if not user.is_administrator:
        return redirect(request, "/account")
    overview = statistics.read_overview(db, parameters.choice(request, "period", Period.DAY))
    return page(
        request,
        "overview.html",
        overview=overview,
        period_name=_PERIODS[overview.period],
        periods=[(one.value, _PERIODS[one]) for one in Period],
        charts=_draw(overview),
        width=charts.WIDTH,
        height=charts.HEIGHT,
    )


_PERIODS = {
    Period.DAY: "24\N{NO-BREAK SPACE}hours",
    Period.WEEK: "7\N{NO-BREAK SPACE}days",
    Period.MONTH: "30\N{NO-BREAK SPACE}days",
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
