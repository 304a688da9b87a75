# The agent as a container image; see docs/container.md. Builds with docker (BuildKit), podman and buildah.
#
#   make image                                       the image, with version and commit
#   docker build --target sbom --output dist .       what is in it, as dist/sbom.cdx.json
#
# Behind a proxy or a mirror, two secrets for the build, both optional: `pip`, a pip.conf; `ca`, certificates that it names.

# Debian 13 with Python 3.11 or newer and pip. A release names it with its digest: python:3.13-slim-trixie@sha256:…
ARG BASE_IMAGE=python:3.13-slim-trixie

# --- The system: PostgreSQL's client programs, and the user ------------------------------------------------------------
FROM ${BASE_IMAGE} AS system
COPY config/image/client-programs.sh /tmp/
RUN sh /tmp/client-programs.sh && rm /tmp/client-programs.sh
# A name for the number, because initdb asks for it: the agent restores backups into a scratch server to verify them.
RUN echo 'agent:x:65532:65532::/var/lib/deploy-agent:/usr/sbin/nologin' >>/etc/passwd && \
    echo 'agent:x:65532:' >>/etc/group && \
    install -d -m 700 -o 65532 -g 65532 /var/lib/deploy-agent && \
    install -d -m 755 /project

# --- The agent and its Python packages, hash-locked, in a virtual environment of their own ------------------------------
FROM system AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
COPY requirements/image.txt requirements/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    python3 -m venv --without-pip /opt/deploy-agent && \
    python3 -m pip --python /opt/deploy-agent/bin/python install --quiet --no-compile \
      --require-hashes --only-binary :all: --requirement requirements/image.txt
COPY . .
ARG COMMIT=""
ARG SOURCE_DATE_EPOCH=0
RUN sh config/image/install.sh "${COMMIT}" && \
    /opt/deploy-agent/bin/python config/image/sbom.py >/opt/deploy-agent/sbom.cdx.json

FROM scratch AS sbom
COPY --from=packages /opt/deploy-agent/sbom.cdx.json /

# --- The image ---------------------------------------------------------------------------------------------------------
FROM system AS agent
COPY --from=packages /opt/deploy-agent /opt/deploy-agent
ENV PATH=/opt/deploy-agent/bin:$PATH \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    DEPLOY_AGENT_STATE_DIR=/var/lib/deploy-agent
ARG BASE_IMAGE
ARG VERSION=""
ARG COMMIT=""
LABEL org.opencontainers.image.title="supabase-deploy-agent" \
      org.opencontainers.image.description="Backs up, migrates, verifies and, when it must, restores a Supabase database." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
# The project: the folder that holds supabase/ and deploy-agent.yaml, mounted read-only.
WORKDIR /project
VOLUME /var/lib/deploy-agent
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 CMD ["deploy-agent", "health"]
ENTRYPOINT ["deploy-agent"]
CMD ["serve"]
