# docker build -t gatepost .
# docker run --name gatepost -p 8080:8080 -v $PWD/gatepost.yaml:/etc/gatepost/gatepost.yaml:ro -v gatepost:/var/lib/gatepost gatepost
#
# The first start logs the set-up link. Without a browser, once, beside the running container:
# docker exec gatepost /gatepost setup --config /etc/gatepost/gatepost.yaml --client-file /var/lib/gatepost/client.json
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags=-s -o /out/gatepost ./gateway/cmd/gatepost \
 && mkdir -p /out/data /out/tmp && chmod 1777 /out/tmp

FROM scratch
# Root certificates for outbound TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/gatepost /gatepost
COPY --from=build --chown=65532:65532 /out/data /var/lib/gatepost
COPY --from=build /out/tmp /tmp
USER 65532:65532
# These two win over the file; -e changes them.
ENV GATEPOST_DATA_DIR=/var/lib/gatepost
ENV GATEPOST_LISTEN__PUBLIC__ADDRESS=:8080
EXPOSE 8080
VOLUME /var/lib/gatepost
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/gatepost", "health", "--config", "/etc/gatepost/gatepost.yaml"]
ENTRYPOINT ["/gatepost", "serve", "--config", "/etc/gatepost/gatepost.yaml"]
