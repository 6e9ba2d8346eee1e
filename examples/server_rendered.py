"""A server-rendered application: its users sign in by the code flow, with Authlib's client.

It keeps the tokens, and its users have a cookie that says nothing. Register it, and run it beside
the service:

    python api.py clients create Shop --id shop --confidential --scope account \
        --redirect-uri http://127.0.0.1:8001/callback
    CLIENT_SECRET=cfs_... uvicorn examples.server_rendered:app --port 8001
"""

import os
import secrets
from html import escape
from typing import Any

from authlib.integrations.requests_client import OAuth2Session
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

SERVICE = os.environ.get("SERVICE", "http://127.0.0.1:8000")
HERE = os.environ.get("HERE", "http://127.0.0.1:8001")
COOKIE = "shop"

app = FastAPI()
# In memory for brevity: what belongs to each cookie, before and after the user has signed in.
visitors: dict[str, dict[str, Any]] = {}


def client(token: dict[str, Any] | None = None) -> Any:
    """What speaks to the service. It refreshes a token that is about to expire."""
    return OAuth2Session(
        os.environ.get("CLIENT_ID", "shop"),
        os.environ["CLIENT_SECRET"],
        redirect_uri=f"{HERE}/callback",
        scope="account",
        code_challenge_method="S256",
        token=token,
        token_endpoint=f"{SERVICE}/token",
    )


@app.get("/")
def home(request: Request) -> Response:
    """Who is signed in."""
    visitor = visitors.get(request.cookies.get(COOKIE, ""), {})
    if "token" not in visitor:
        return HTMLResponse('<p>You are not signed in. <a href="/login">Sign in</a></p>')
    with client(visitor["token"]) as session:
        answer = session.get(f"{SERVICE}/users/me")
        visitor["token"] = session.token
    if answer.status_code != 200:
        visitors.pop(request.cookies[COOKIE])
        return HTMLResponse('<p>You are signed out. <a href="/login">Sign in</a></p>')
    email = escape(answer.json()["email"])
    button = '<form method="post" action="/logout"><button>Sign out</button></form>'
    return HTMLResponse(f"<p>You are {email}.</p>{button}")


@app.get("/login")
def log_in() -> Response:
    """Send the browser to the service, and remember what belongs to its answer."""
    verifier, cookie = secrets.token_urlsafe(48), secrets.token_urlsafe(32)
    with client() as session:
        address, state = session.create_authorization_url(
            f"{SERVICE}/authorize", code_verifier=verifier
        )
    visitors[cookie] = {"verifier": verifier, "state": state}
    response = RedirectResponse(address)
    # Not "strict": the browser comes back from another site.
    response.set_cookie(COOKIE, cookie, httponly=True, samesite="lax")
    return response


@app.get("/callback")
def complete(request: Request) -> Response:
    """Exchange the code. Under a new cookie, so that nobody can have planted the old one."""
    begun = visitors.pop(request.cookies.get(COOKIE, ""), None)
    is_expected = begun is not None and request.query_params.get("state") == begun.get("state")
    if begun is None or not is_expected or request.query_params.get("iss") != SERVICE:
        return HTMLResponse("<p>This sign-in was not begun here.</p>", 400)
    if "code" not in request.query_params:
        return HTMLResponse("<p>You are not signed in.</p>", 403)
    with client() as session:
        token = session.fetch_token(
            code=request.query_params["code"], code_verifier=begun["verifier"]
        )
    cookie = secrets.token_urlsafe(32)
    visitors[cookie] = {"token": dict(token)}
    response = RedirectResponse("/")
    response.set_cookie(COOKIE, cookie, httponly=True, samesite="lax")
    return response


@app.post("/logout")
def log_out(request: Request) -> Response:
    """Revoke the session at the service as well."""
    visitor = visitors.pop(request.cookies.get(COOKIE, ""), {})
    if "token" in visitor:
        with client() as session:
            session.revoke_token(f"{SERVICE}/revoke", token=visitor["token"]["refresh_token"])
    return RedirectResponse("/", status_code=303)
