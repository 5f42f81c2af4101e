# SPDX-License-Identifier: BSD-3-Clause
# docker build -t sluice .            another Debian: --build-arg BASE=debian:trixie
# docker run --rm --network host --privileged -v /etc/sluice:/etc/sluice -v /dev/hugepages:/dev/hugepages sluice
ARG BASE=debian:bookworm

FROM ${BASE} AS build
RUN apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
	gcc libc6-dev meson ninja-build pkg-config python3 libdpdk-dev libipsec-mb-dev libsodium-dev libb2-dev \
	libconfig-dev libevent-dev libjansson-dev libssl-dev libpcap-dev libsqlite3-dev libcurl4-openssl-dev libmaxminddb-dev libqrencode-dev libcmocka-dev \
	openssl sqlite3 \
	&& rm -rf /var/lib/apt/lists/*
COPY . /src
WORKDIR /src
RUN meson setup /build --prefix=/usr -Dbuildtype=release && ninja -C /build \
	&& meson test -C /build --suite unit --print-errorlogs \
	&& DESTDIR=/out meson install -C /build --no-rebuild
# The packages of the shared libraries that the programs need, whatever they are called on this Debian.
RUN for f in $(find /out -type f -perm -100); do ldd "$f" 2>/dev/null; done | awk '$2 == "=>" {print $3}' | sort -u \
	| while read -r f; do dpkg -S "$(realpath "$f")" 2>/dev/null || dpkg -S "$f"; done \
	| cut -d: -f1 | sort -u > /out/packages

FROM ${BASE}
COPY --from=build /out/packages /tmp/packages
# DPDK's drivers are found at run time, so no program names them.
RUN apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
	$(cat /tmp/packages) librte-meta-net librte-meta-bus librte-meta-mempool wireguard-tools iproute2 ethtool \
	&& rm -rf /var/lib/apt/lists/* /tmp/packages
COPY --from=build /out/usr /usr
COPY docs/examples/sluice.conf /usr/share/doc/sluice/sluice.conf
# What the units make on a machine: state and records.
RUN install -d -m 700 /var/lib/sluice /var/log/sluice
ENTRYPOINT ["/usr/sbin/sluiced"]
CMD ["-c", "/etc/sluice/sluice.conf"]
