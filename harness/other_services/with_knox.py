"""django-rest-knox and the tokens of Django REST framework, as their documentation sets them up.

`python with_knox.py FILE EMAIL PASSWORD` creates the tables in an SQLite file, and a user who logs
in. Prints the tokens that the user gets, as JSON.
"""

import json
import sys
from typing import Any

import django
from django.conf import settings

FILE, EMAIL, PASSWORD = sys.argv[1:]

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FILE}},
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "rest_framework",
        "rest_framework.authtoken",
        "knox",
    ],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "knox.auth.TokenAuthentication",
            "rest_framework.authentication.BasicAuthentication",
        ]
    },
    ROOT_URLCONF="__main__",
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    SECRET_KEY="test",
    ALLOWED_HOSTS=["*"],
    USE_TZ=True,
)
django.setup()

# Django's applications must be loaded before these are imported.
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.urls import path  # noqa: E402
from knox.views import LoginView  # noqa: E402
from rest_framework.authtoken.views import obtain_auth_token  # noqa: E402
from rest_framework.permissions import IsAuthenticated  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.test import APIClient  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class Me(APIView):
    permission_classes = (IsAuthenticated,)

    def get(self, request: Request) -> Response:
        return Response({"email": request.user.email})


urlpatterns = [
    path("login/", LoginView.as_view()),
    path("token/", obtain_auth_token),
    path("me/", Me.as_view()),
]


def log_in() -> dict[str, Any]:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=_basic())
    knox = client.post("/login/").json()["token"]
    body = {"username": "ada", "password": PASSWORD}
    drf = APIClient().post("/token/", body, format="json").json()["token"]
    client.credentials(HTTP_AUTHORIZATION=f"Token {knox}")
    return {"knox": knox, "drf": drf, "status": client.get("/me/").status_code}


def _basic() -> str:
    from base64 import b64encode

    return "Basic " + b64encode(f"ada:{PASSWORD}".encode()).decode()


if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    User.objects.create_user(
        "ada", EMAIL, PASSWORD, first_name="Ada", last_name="Lovelace", is_superuser=True
    )
    print(json.dumps(log_in()))
