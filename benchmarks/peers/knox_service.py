"""django-rest-knox answering `GET /users/me`, served by gunicorn with threads."""

from typing import Any

from django.core.wsgi import get_wsgi_application
from django.urls import path

application = get_wsgi_application()

# Django's applications must be loaded before the REST framework is imported.
from rest_framework import serializers  # noqa: E402
from rest_framework.decorators import api_view  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402


class AccountSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    email = serializers.EmailField()
    username = serializers.CharField()
    name = serializers.CharField(source="first_name")
    surname = serializers.CharField(source="last_name")
    website = serializers.ReadOnlyField(default=None)
    roles = serializers.ReadOnlyField(default=["user"])
    created_at = serializers.DateTimeField(source="date_joined")
    updated_at = serializers.DateTimeField(source="date_joined")


@api_view(["GET"])
def read_me(request: Request) -> Response:
    return Response(AccountSerializer(request.user).data)


urlpatterns = [path("users/me", read_me)]
