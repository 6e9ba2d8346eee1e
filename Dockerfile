# Counterfoil in an image: `docker build -t counterfoil .`, and see docs/how-to/deployment.md.
ARG PYTHON=3.13-slim-bookworm

FROM python:${PYTHON} AS build
WORKDIR /build
COPY requirements-run.lock .
# Only wheels, each checked against its hash in the lock file: nothing is compiled.
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check \
        --only-binary :all: --require-hashes --requirement requirements-run.lock

FROM python:${PYTHON}
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin counterfoil \
    && install --directory --owner counterfoil --group counterfoil --mode 0700 /data
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY alembic.ini api.py ./
COPY alembic alembic
COPY api api
COPY authentication authentication
COPY counterfoil counterfoil
COPY database database
COPY schemas schemas
# The code belongs to root, so that the service cannot modify it or add files to it.
RUN python -m compileall -q .
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    COUNTERFOIL_HOST=0.0.0.0 \
    DATABASE_URL=sqlite:////data/counterfoil.db
# By number, so that Kubernetes can verify that the user is not root.
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('COUNTERFOIL_PORT', 8000)}/health/live\", timeout=4)"]
ENTRYPOINT ["python", "api.py"]
CMD ["serve"]
