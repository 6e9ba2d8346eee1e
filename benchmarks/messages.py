"""Builds HTTP requests as bytes and sends single ones."""

import json
import socket
from http.client import HTTPResponse
from urllib.parse import urlencode

HOST = "127.0.0.1"


def build_request(
    method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def bearer(token: str, scheme: str = "Bearer") -> dict[str, str]:
    return {"Authorization": f"{scheme} {token}"}


def get(path: str, token: str | None = None, scheme: str = "Bearer") -> bytes:
    return build_request("GET", path, bearer(token, scheme) if token else None)


def post_form(path: str, fields: dict[str, str], token: str | None = None) -> bytes:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    headers |= bearer(token) if token else {}
    return build_request("POST", path, headers, urlencode(fields).encode())


def post_json(path: str, fields: dict[str, object], token: str | None = None) -> bytes:
    headers = {"Content-Type": "application/json"} | (bearer(token) if token else {})
    return build_request("POST", path, headers, json.dumps(fields).encode())


def exchange(port: int, request: bytes, timeout: float = 10.0) -> tuple[int, bytes]:
    """Send one request on a new connection. Returns the status and the body."""
    with socket.create_connection((HOST, port), timeout=timeout) as connection:
        connection.sendall(request)
        response = HTTPResponse(connection)
        response.begin()
        # A 204 has no body and no Content-Length, so reading would last until the server closes.
        return response.status, response.read()
