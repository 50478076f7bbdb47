# Two stages: the wheel and its hash-checked dependencies are built in the first, the second holds only what runs.
FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/policywatch
COPY requirements.txt ./
RUN /opt/policywatch/bin/pip install --require-hashes -r requirements.txt
COPY pyproject.toml README.md ./
COPY service ./service
COPY rules ./rules
RUN /opt/policywatch/bin/pip install --no-deps .

FROM python:3.13-slim
LABEL org.opencontainers.image.title="policywatch" \
      org.opencontainers.image.description="Self-hosted policy-change alerting"
# A fixed id, so that a volume's owner is the same on every host.
RUN groupadd --gid 10001 policywatch \
    && useradd --uid 10001 --gid policywatch --home-dir /var/lib/policywatch --create-home --shell /usr/sbin/nologin policywatch
COPY --from=build /opt/policywatch /opt/policywatch
ENV PATH="/opt/policywatch/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    POLICYWATCH_API__HOST=0.0.0.0 \
    POLICYWATCH_LOGGING__FORMAT=json
USER policywatch
# The database and the secret key live in ./data below this folder; config.yaml is read from here if it is mounted.
WORKDIR /var/lib/policywatch
# The rules' tests are run and the lexicon is read here once, and not again at each start.
RUN mkdir data && policywatch rules check
VOLUME /var/lib/policywatch/data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
# Shell-less: signals reach the service, and a stop drains what is in flight.
STOPSIGNAL SIGTERM
ENTRYPOINT ["policywatch"]
CMD ["serve"]
