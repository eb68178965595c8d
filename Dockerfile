# Two stages: the first has the tools, the second only what runs.
FROM python:3.12.12-slim-trixie@sha256:f3fa41d74a768c2fce8016b98c191ae8c1bacd8f1152870a3f9f87d350920b7c AS build
WORKDIR /opt/metriport-streams
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
COPY uv.lock pyproject.toml ./
# The tool comes from the same lock as everything else. Dependencies first: they change less often than the code.
RUN pip install --no-cache-dir --root-user-action=ignore \
      "uv==$(sed -n '/^name = "uv"$/{n;s/^version = "\(.*\)"/\1/p;}' uv.lock)" \
    && uv sync --frozen --no-dev --no-install-project
COPY README.md LICENSE ./
COPY cli cli
COPY ingress ingress
COPY models models
COPY streams streams
RUN uv sync --frozen --no-dev --no-editable

FROM python:3.12.12-slim-trixie@sha256:f3fa41d74a768c2fce8016b98c191ae8c1bacd8f1152870a3f9f87d350920b7c
# The paths that are written to, the second for fetched bytes where these have a volume of their own; everything else
# works on a read-only file system (with a /tmp).
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin metriport \
    && install -d -o metriport -m 0700 /var/lib/metriport-streams /var/lib/metriport-blobs
COPY --from=build /opt/metriport-streams/.venv /opt/metriport-streams/.venv
ENV PATH=/opt/metriport-streams/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SPOOL_DIR=/var/lib/metriport-streams/spool \
    STATE_DIR=/var/lib/metriport-streams/state \
    BLOB_STORE_URL=file:///var/lib/metriport-streams/blobs
WORKDIR /var/lib/metriport-streams
USER 10001
VOLUME /var/lib/metriport-streams
EXPOSE 8080
ENTRYPOINT ["metriport-streams"]
CMD ["--help"]
