# SPDX-License-Identifier: Apache-2.0
# The usual targets. Meson does the build (meson.build). All results are below build/.
#
#   make             builds build/pmvm, build/libvpmem.a, build/libvpmem.so
#   make containers  makes the guest of pmvm-oci too: its kernel and its initramfs, in build/oci
#   make demo        shows the main function with a real guest, in an emulated host where KVM is not usable
#   make demo-containers  podman with pmvm-oci: images that share a base, each container in a machine of its own
#   make check       runs all tests; the last line is "N passed, N failed, N skipped"
#                    (make check-style, check-unit, check-system: a part of them; see tests/check.py)
#   make check-long  the system tests that are more variants of those, and that take long
#   make powercut    cuts the power of an emulated host, N=10 times with each guest (or N=bare=18,linux=2);
#                    BROKEN=early-ack|coalesce|no-map-sync with a defective pmvm
#   make failover    kills the active one of two emulated hosts, N=10 times; STORAGE=device|file|nbd,
#                    BY=hand|pacemaker, BROKEN=early-ack
#   make root-on-pmem  builds the Debian machine of docs/root-on-pmem.md, and runs it as the page says
#   make soak        HOURS=1: one machine under load, with reboots and hotplug; checks its data and detects leaks
#   make fuzz        fuzzes each target: TIME=seconds for each, ONLY=target[,target]
#   make format      applies the styles of .clang-format and pyproject.toml
#   make coverage    lines and branches of the device and its transport that the unit tests reach
#   make bench       measures pmvm and QEMU in turn: ONLY=part[,part] RUNS=7
#   make dist        source archive of the commit, in build/dist
#   make deb         Debian packages, in build/deb
#   make check-deb   builds, installs and purges them in bare systems, as root; downloads some 500 MB
#   make install     PREFIX=/usr/local DESTDIR=
#   make clean       removes build results, but not the downloads in build/cache
PREFIX ?= /usr/local
DESTDIR ?=
TIME ?= 60
ONLY ?=
N ?= 10
RUNS ?= 7
HOURS ?= 1
STORAGE ?= device
BY ?= hand
MAKEFLAGS += --no-print-directory

.PHONY: all containers demo demo-containers check check-style check-unit check-system check-long powercut failover root-on-pmem soak fuzz format \
	coverage bench dist deb check-deb install clean python

all: build/build.ninja
	@ninja -C build

build/build.ninja: meson.build
	@tools/install-packages build
	@if [ -f $@ ]; then meson setup --reconfigure build; else meson setup build; fi

containers: all
	@oci/guest/build

demo: all
	@demo/demo.py

demo-containers: containers
	@demo/containers.py

check: all
	@tests/check.py

# The build brings Python to the other targets.
check-style fuzz format coverage: python

python:
	@tools/install-packages python

check-style:
	@tests/check.py style

check-unit: all
	@tests/check.py unit

check-system: all
	@tests/check.py system

check-long: all
	-@tests/foreign-tools
	-@tests/foreign-suites
	@tests/check.py --long

fuzz:
	@tests/fuzz/fuzz.py --time $(TIME) --only "$(ONLY)"

format:
	@tests/style.py --apply

coverage:
	@tests/coverage.py

powercut: all
	@tests/powercut.py --cuts $(N) $(if $(BROKEN),--broken $(BROKEN))

failover: all
	@tests/failover.py --failovers $(N) --storage $(STORAGE) --by $(BY) $(if $(BROKEN),--broken $(BROKEN))

root-on-pmem: all
	@tests/root_on_pmem.py

soak: all
	@tests/soak.py --hours $(HOURS)

bench: all
	@bench/bench.py --only "$(ONLY)" --runs $(RUNS)

dist:
	@tools/make-dist

deb:
	@tools/install-packages build deb
	@tools/make-deb

check-deb:
	@tools/install-packages deb
	@tools/check-deb

install: all
	@meson configure build --prefix $(abspath $(PREFIX)) --libdir lib
	@ninja -C build >/dev/null
	@DESTDIR=$(DESTDIR) meson install -C build --no-rebuild

clean:
	@if [ -d build ]; then find build -mindepth 1 -maxdepth 1 ! -name cache -exec rm -rf {} +; fi
