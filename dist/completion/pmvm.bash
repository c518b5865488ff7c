# Completion of bash for pmvm. Options, types and properties are those that the program itself lists.
# SPDX-License-Identifier: Apache-2.0

_pmvm_list() { # PROGRAM OPTION: the types that it can have
    "$1" "$2" help 2>/dev/null | sed -n '
        /:$/d
        s/^name "\([^"]*\)".*alias "\([^"]*\)".*/\1\n\2/p; t
        s/^name "\([^"]*\)".*/\1/p; t
        s/^ *\([a-z][a-z0-9-]*\)$/\1/p; t
        s/^ *\([a-z][a-z0-9_]*\)  *[^ ].*/\1/p'
}

_pmvm_properties() { # PROGRAM OPTION TYPE: "name=<type>" each
    "$1" "$2" "$3,help" 2>/dev/null | sed -n 's/^  \([A-Za-z0-9_-]*=<[^ >]*>*\).*/\1/p'
}

_pmvm_offer() { # CURRENT WORD...: those that begin as it does
    mapfile -t COMPREPLY < <(compgen -W "${*:2}" -- "$1")
}

# A list of properties: TYPE,name=value,... `head` is the part up to the last comma.
_pmvm_argument() { # PROGRAM OPTION CURRENT
    local program=$1 option=$2 current=$3 head last name type words
    if [[ $current != *,* ]]; then
        _pmvm_offer "$current" "$(_pmvm_list "$program" "$option")"
        compopt -o nospace
        return
    fi
    head=${current%,*}, last=${current##*,} type=${current%%,*}
    compopt -o nospace
    if [[ $last != *=* ]]; then
        words=$(_pmvm_properties "$program" "$option" "$type" | sed 's/=.*/=/')
        _pmvm_offer "$last" "$words"
    else
        name=${last%%=*}
        case $name in
            mem-path | path | logfile | filename)
                mapfile -t COMPREPLY < <(compgen -f -- "${last#*=}") ;;
            *)
                case $(_pmvm_properties "$program" "$option" "$type" | sed -n "s/^$name=//p") in
                    '<bool>') words='on off' ;;
                    '<OnOffAuto>') words='on off auto' ;;
                    '<PmemWerror>') words='report stop' ;;
                    *) words='' ;;
                esac
                _pmvm_offer "${last#*=}" "$words" ;;
        esac
        head+=$name=
    fi
    # Readline replaces what follows the last "=", which breaks a word.
    [[ $COMP_WORDBREAKS == *=* && $head == *=* ]] && head=${head##*=}
    COMPREPLY=("${COMPREPLY[@]/#/$head}")
}

_pmvm() {
    local program=$1 line=${COMP_LINE:0:COMP_POINT} current option
    # Not the words of readline: "=" and ":" do not end a word here.
    current=${line##*[[:blank:]]}
    option=${line%"$current"}
    option=${option%"${option##*[![:blank:]]}"}
    option=${option##*[[:blank:]]}
    COMPREPLY=()
    case -${option##*-} in
        -device | -object | -netdev | -chardev | -machine | -cpu)
            _pmvm_argument "$program" "-${option##*-}" "$current" ;;
        -smp)
            _pmvm_argument "$program" -smp "cpus,$current"
            COMPREPLY=("${COMPREPLY[@]#cpus,}") ;;
        -kernel | -initrd | -pmem | -readconfig | -pidfile | -share)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
        -nic)
            _pmvm_offer "$current" 'user tap stream dgram vhost-user none' ;;
        -sandbox)
            _pmvm_offer "$current" 'on off log' ;;
        *)
            _pmvm_offer "$current" "$("$program" -help 2>/dev/null | sed -n 's/^\(-[a-z][a-z-]*\).*/\1/p')" ;;
    esac
}
complete -F _pmvm pmvm
