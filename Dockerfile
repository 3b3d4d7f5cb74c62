# The hub with the application beside it: `hub serve`, without root, without a compiler, without an embedded database.
# Settings are HUB_* variables (docs/configuration.md); HUB_MONGO_URL has no default.

FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements-build.lock \
    && python -m venv /opt/hub \
    && /opt/hub/bin/pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY hub ./hub
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/hub/bin/pip install --no-cache-dir --no-deps dist/*.whl

FROM python:3.13-slim-bookworm
RUN useradd --uid 10001 --create-home --home-dir /srv/hub hub
COPY --from=build /opt/hub /opt/hub
WORKDIR /srv/hub
COPY schema ./schema
COPY queries ./queries
COPY mutations ./mutations
ENV PATH=/opt/hub/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HUB_HOST=0.0.0.0 \
    HUB_PORT=8000 \
    HUB_APP_DIR=/srv/hub
USER 10001
EXPOSE 8000
# 503 until it was ready once, then 200 as long as it lives: an outage of the database must not get it killed.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["hub", "health"]
CMD ["hub", "serve"]
