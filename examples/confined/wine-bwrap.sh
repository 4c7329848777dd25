#!/bin/sh
# Wine's loader in a bubblewrap sandbox: no network, no other processes, no files but Wine's own (read-only), the
# agent's (read-only), the prefix (writable) and the folders in CONFINED_READ (read-only, separated by colons).
# Of the environment only Wine's variables get in.
#
# winbridge takes it for the loader; memory cannot be shared with a sandbox, so the calls go over a stream:
#
#     WINBRIDGE_WINE=.../wine-bwrap.sh WINBRIDGE_TRANSPORT=stream WINBRIDGE_PREFIX=... CONFINED_READ=/my/dlls
#
# Give it a prefix of its own: the Wine server in the sandbox does not see one outside.
set -eu

if [ "${1-}" = --version ]; then
    exec wine --version
fi
: "${WINEPREFIX:?is set by winbridge}"

program=$1
# The arguments of bwrap, built from the last to the first: what is run, then what it sees.
# The Wine server ends with the program, else it would keep the registry in memory until the sandbox is gone.
set -- -- /bin/sh -c 'wine "$@" && status=0 || status=$?; wineserver -k 2>/dev/null || true; exit "$status"' sh "$@"
set -- --setenv WINEPREFIX "$WINEPREFIX" --setenv HOME "$WINEPREFIX" --setenv LANG "${LANG-C.UTF-8}" \
    --setenv WINEDEBUG "${WINEDEBUG-}" --setenv WINEDLLOVERRIDES "${WINEDLLOVERRIDES-}" \
    --setenv PATH /usr/local/bin:/usr/bin:/bin "$@"
case $program in
    /*) set -- --ro-bind "${program%/*}" "${program%/*}" "$@" ;;
esac
rest=${CONFINED_READ-}
while [ -n "$rest" ]; do
    folder=${rest%%:*}
    rest=${rest#"$folder"}
    rest=${rest#:}
    set -- --ro-bind "$folder" "$folder" "$@"
done
for folder in /bin /sbin /lib /lib32 /lib64 /libx32; do
    if [ -L "$folder" ]; then
        set -- --symlink "$(readlink "$folder")" "$folder" "$@"
    else
        set -- --ro-bind-try "$folder" "$folder" "$@"
    fi
done
for path in /opt /etc/alternatives /etc/fonts /etc/ld.so.cache /etc/ld.so.conf /etc/ld.so.conf.d /etc/passwd; do
    set -- --ro-bind-try "$path" "$path" "$@"
done
exec bwrap --unshare-all --die-with-parent --new-session --clearenv \
    --proc /proc --dev /dev --tmpfs /tmp --ro-bind /usr /usr --bind "$WINEPREFIX" "$WINEPREFIX" "$@"
