# The image holds the binary, the list of what is in it, the roots of the web's certificates
# and a folder for data; no shell, no user but one without a name, nothing else.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.version=${VERSION}" -o /out/tocsin ./cmd/tocsin \
	&& mkdir -m 0700 /out/data
RUN .ci/sbom /out/tocsin "${VERSION}" > /out/tocsin.cdx.json

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/tocsin /usr/bin/tocsin
COPY --from=build /out/tocsin.cdx.json /usr/share/doc/tocsin/tocsin.cdx.json
COPY --from=build --chown=65532:65532 /out/data /data
VOLUME /data
WORKDIR /data
USER 65532:65532
EXPOSE 8443
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s CMD ["/usr/bin/tocsin", "health", "--data", "/data"]
ENTRYPOINT ["/usr/bin/tocsin"]
CMD ["serve", "--data", "/data"]
