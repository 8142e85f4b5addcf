# A static image of Gatehouse: the binary, CA certificates, and nothing else. No
# shell, no package manager, no root.
#
#   docker build --build-arg VERSION=v1.0.0 -t registry.example.com/gatehouse:1.0.0 .
#
# Where no registry is reached, a folder stands in place of the stage that compiles. It
# holds etc/ssl/certs/ca-certificates.crt, out/gatehouse (OUT=… scripts/release build) and
# the empty folders out/state and out/tmp:
#
#   buildah bud --isolation chroot --build-context build=FOLDER -t gatehouse:1.0.0 .
ARG GO_VERSION=1.26

FROM --platform=$BUILDPLATFORM golang:${GO_VERSION}-bookworm AS build
ARG TARGETOS=linux
ARG TARGETARCH
ARG VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# The flags are those of scripts/release, so the binary is the released one.
RUN GOOS=${TARGETOS} GOARCH=${TARGETARCH:-$(go env GOARCH)} OUT=/out/gatehouse VERSION=${VERSION} scripts/release build
RUN mkdir -p /out/state /out/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/gatehouse /usr/bin/gatehouse
COPY --from=build --chown=65532:65532 /out/state /var/lib/gatehouse
COPY --from=build --chown=65532:65532 /out/tmp /tmp
# A number, for runAsNonRoot cannot tell whether a name is root.
USER 65532:65532
ENV HOME=/var/lib/gatehouse
VOLUME ["/var/lib/gatehouse"]
EXPOSE 8321
ENTRYPOINT ["/usr/bin/gatehouse"]
CMD ["--help"]
