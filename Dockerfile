# syntax=docker/dockerfile:1

# Builds for the machine it runs on: amd64 and arm64 (a Raspberry Pi with a 64-bit system) alike.
FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY . .
# The caches stay on the building machine, so that only what changed is compiled again.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin graph2mqtt \
    && install -D target/release/graph2mqtt /out/graph2mqtt \
    && mkdir /out/config /out/data

# The C library, CA certificates (without them no TLS client can be built) and nothing else: no shell, no packages.
FROM gcr.io/distroless/cc-debian12:nonroot AS image
LABEL org.opencontainers.image.title="graph2mqtt" \
      org.opencontainers.image.description="Microsoft Teams presence from Graph to MQTT, Home Assistant and Philips Hue" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /out/graph2mqtt /usr/local/bin/graph2mqtt
# A volume takes its owner from the folder it covers.
COPY --from=build --chown=65532:65532 /out/config /config
COPY --from=build --chown=65532:65532 /out/data /data

# Sign-ins and the key that seals them; losing it means signing in again.
ENV GRAPH2MQTT_STORE__URL=sqlite:///data/graph2mqtt.db \
    GRAPH2MQTT_STORE__KEY_FILE=/data/store.key
VOLUME /data
# graph2mqtt.yaml is read from the working folder where it is there; without it, the environment holds everything.
WORKDIR /config
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 CMD ["graph2mqtt", "health"]
ENTRYPOINT ["/usr/local/bin/graph2mqtt"]
CMD ["run"]
