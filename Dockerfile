# Python with its standard library compiled: the official image leaves the bytecode out, and a container on a read-only
# root would compile it again at every start and at every health check.
FROM python:3.13-slim-bookworm AS base
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
RUN python -m compileall -q --invalidation-mode unchecked-hash \
    -x '/(site-packages|test|tests|idlelib|turtledemo|lib2to3|ensurepip|tkinter)/' /usr/local/lib/python3.*

# Argon2 a second time, for x86-64-v3: a hash then takes half the time. At its start the service takes what the processor
# can run. The compiler and the other tools stay in this stage; on other architectures the folder is empty.
FROM base AS argon2
RUN if [ "$(uname -m)" = x86_64 ]; then \
      apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev >/dev/null; fi
WORKDIR /build
COPY requirements.lock requirements-argon2.lock ./
COPY deploy/build-argon2 deploy/
RUN ["deploy/build-argon2", "/opt/argon2"]

# Build tools live in this stage's own Python and never enter the virtualenv, which has not even pip.
FROM base AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN ["python", "-m", "venv", "--without-pip", "/opt/venv"]

COPY requirements.lock ./
RUN pip --python /opt/venv/bin/python install --no-compile --require-hashes --no-deps --only-binary :all: -r requirements.lock \
 && rm -rf /opt/venv/lib/python3.*/site-packages/*/tests \
 && python -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib

COPY requirements-build.lock ./
RUN pip install --require-hashes --no-deps --only-binary :all: -r requirements-build.lock

# The project goes beside the virtualenv, so that a change of the project is a small layer of the image.
COPY pyproject.toml README.md LICENSE ./
COPY migrations ./migrations
COPY deploy/sql ./deploy/sql
COPY auth_service ./auth_service
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /build/dist . \
 && pip --python /opt/venv/bin/python install --no-compile --no-deps --no-index --prefix /opt/project /build/dist/*.whl \
 && python -m compileall -q --invalidation-mode unchecked-hash /opt/project/lib

# The bill of materials. What writes it is pinned by the lock of the development tools, and stays in this stage too.
FROM build AS sbom
COPY requirements-dev.lock ./
RUN for name in cyclonedx-python-lib boolean-py defusedxml license-expression packageurl-python py-serializable sortedcontainers; \
      do sed -n "/^$name==/,/[^\\\\]\$/p" requirements-dev.lock; done > sbom.lock \
 && pip install --require-hashes --no-deps --only-binary :all: -r sbom.lock
COPY Dockerfile ./
COPY deploy/__init__.py deploy/
COPY deploy/supply deploy/supply
RUN PYTHONPATH=$(echo /opt/venv/lib/python3.*/site-packages):$(echo /opt/project/lib/python3.*/site-packages) \
    python -m deploy.supply.sbom --dpkg-status /var/lib/dpkg/status > /opt/sbom.cdx.json

FROM base
ENV PATH=/opt/venv/bin:$PATH
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/project /opt/venv
COPY --from=argon2 /opt/argon2 /opt/venv/lib/argon2
COPY --from=sbom /opt/sbom.cdx.json /usr/share/doc/auth-service/
WORKDIR /
USER 10001:10001
EXPOSE 8000
# http.client rather than urllib: a proxy in the environment must not be asked about this container.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-I", "-S", "-c", \
  "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8000, timeout=4); c.request('GET', '/health/live'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["auth-service"]
CMD ["serve", "--host", "0.0.0.0"]
# Last, since they differ between any two builds. `make image` gives them; without it they are empty.
ARG VERSION REVISION CREATED SOURCE
LABEL org.opencontainers.image.title="auth-service" \
      org.opencontainers.image.description="Accounts, sessions and refresh tokens over HTTP" \
      org.opencontainers.image.authors="The auth-service authors" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED" \
      org.opencontainers.image.source="$SOURCE" \
      auth-service.sbom="/usr/share/doc/auth-service/sbom.cdx.json"
