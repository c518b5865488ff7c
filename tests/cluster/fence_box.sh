#!/bin/sh
# A fence agent for Pacemaker: asks the power switch of the two test hosts. tests/cluster/pacemaker.py installs it.
# SPDX-License-Identifier: Apache-2.0
#
# The options arrive on standard input, one "name=value" a line. power_switch.py describes the files. A shell, because
# Pacemaker gives an agent 5 s for its metadata, which is little for Python on an emulated host.
set -u
shared=@shared@

ask() { # ACTION HOST: prints the answer
    name=$shared/switch-fence-$$-$(date +%s%N)
    echo "$1 $2" >"$name.part" && mv "$name.part" "$name.question"
    tries=0
    until [ -f "$name.answer" ]; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || return 1
        sleep 0.2
    done
    cat "$name.answer"
    rm "$name.answer"
}

action=off host=
[ "${1-}" != metadata ] || action=metadata
[ $action = metadata ] || while IFS='=' read -r key value; do
    case $key in
        action) action=$value ;;
        plug | port | nodename) host=$value ;;
    esac
done

case $action in
    metadata)
        cat <<'XML'
<?xml version="1.0" ?>
<resource-agent name="fence_box" shortdesc="The power switch of two test hosts">
<longdesc>Ends the emulator of the other host.</longdesc>
<parameters>
<parameter name="action" required="1"><content type="string" default="off"/></parameter>
<parameter name="plug" required="0"><content type="string"/></parameter>
</parameters>
<actions>
<action name="off"/><action name="status"/><action name="monitor"/><action name="metadata"/>
</actions>
</resource-agent>
XML
        ;;
    monitor) ask status a && ask status b ;; # of the switch itself
    status)
        case $(ask status "$host") in
            on) exit 0 ;;
            off) exit 2 ;;
            *) exit 1 ;;
        esac
        ;;
    off) [ "$(ask off "$host")" = off ] ;;
    *) echo "fence_box: no action '$action'; there are off, status and monitor" >&2; exit 1 ;;
esac
