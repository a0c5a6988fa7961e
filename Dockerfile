# syntax=docker/dockerfile:1
# Two stages: the compiler stays behind. The image speaks TLS to PostgreSQL (feature postgres-tls,
# a libpq built against OpenSSL), which the default build does not.

FROM rust:1.92-slim-bookworm AS builder
# What aws-lc, SQLite, OpenSSL and libpq need to be compiled; versions follow the base image.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential cmake libssl-dev perl pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --locked --release --features postgres-tls \
    && cp target/release/grantd /usr/local/bin/grantd

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libssl3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --no-create-home grantd \
    && install --directory --owner=grantd --group=grantd --mode=0700 /var/lib/grantd
COPY --from=builder /usr/local/bin/grantd /usr/local/bin/grantd
USER 10001:10001
WORKDIR /var/lib/grantd
# Inside a container loopback reaches nobody; which ports are published is decided outside.
ENV GRANTD_LISTEN=0.0.0.0:8080 \
    GRANTD_DATA_DIR=/var/lib/grantd
VOLUME /var/lib/grantd
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["grantd", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["grantd"]
CMD ["serve"]
