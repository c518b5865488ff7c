# SPDX-License-Identifier: Apache-2.0
# The verbs people type. The build itself is Meson's (meson.build); everything made goes below build/.
#
#   make             builds build/pmvm, build/libvpmem.a, build/libvpmem.so
#   make demo        shows the main job on a real guest, in an emulated host where KVM is not usable
#   make check       runs all tests; the last line is "N passed, N failed, N skipped"
#   make bench       counts system calls, exits and memory, beside QEMU where that is installed
#   make install     PREFIX=/usr/local DESTDIR=
#   make clean       removes what was built; downloads in build/cache stay
PREFIX ?= /usr/local
DESTDIR ?=
MAKEFLAGS += --no-print-directory

.PHONY: all demo check check-unit check-system bench install clean

all: build/build.ninja
	@ninja -C build

build/build.ninja: meson.build
	@tools/install-packages build
	@if [ -f $@ ]; then meson setup --reconfigure build; else meson setup build; fi

demo: all
	@demo/run

check: all
	@tests/check

check-unit: all
	@tests/check unit

check-system: all
	@tests/check system

bench: all
	@bench/run

install: all
	@meson configure build --prefix $(abspath $(PREFIX)) --libdir lib
	@ninja -C build >/dev/null
	@DESTDIR=$(DESTDIR) meson install -C build --no-rebuild

clean:
	@if [ -d build ]; then find build -mindepth 1 -maxdepth 1 ! -name cache -exec rm -rf {} +; fi
