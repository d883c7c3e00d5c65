FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/tocsin ./cmd/tocsin \
	&& mkdir /out/data

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/tocsin /usr/bin/tocsin
COPY --from=build --chown=nonroot:nonroot /out/data /data
VOLUME /data
WORKDIR /data
USER nonroot
ENTRYPOINT ["/usr/bin/tocsin"]
CMD ["serve", "--data", "/data"]
