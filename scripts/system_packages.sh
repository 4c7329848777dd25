# Sourced by setup.sh: Wine and mingw-w64 for both architectures, Python's venv module and make, by apt.

NO_WINE32=.cache/no-32-bit-wine
APT_OPTIONS=(-y -q -o DPkg::Lock::Timeout=300)
APT_SCRATCH=

system_tools() {
    local packages
    mapfile -t packages < <(missing_tools)
    if ((${#packages[@]})); then
        apt_ready "${packages[@]}"
        refresh_index
        quietly "System packages: ${packages[*]}" apt_install "${packages[@]}" ||
            die "apt-get could not install: ${packages[*]}"
    fi
}

wine_packages() {
    has_wine 64 && { has_wine 32 || [[ -e $NO_WINE32 ]]; } || install_wine
    has_wine 32 || report_no_wine32
    sandbox
    ssh_server
}

# For examples/confined alone: where it cannot be had, its test is reported as not run.
sandbox() {
    if ! command -v bwrap >/dev/null && command -v apt-get >/dev/null && { ((EUID == 0)) || sudo -n true 2>/dev/null; }; then
        refresh_index
        quietly "bubblewrap, for examples/confined" apt_install bubblewrap || true
    fi
}

# For tests/remote/test_ssh.py alone, which starts one on loopback. Not where systemd runs: that would open the machine
# to the network. Without it that test is reported as not run.
ssh_server() {
    if [[ ! -x /usr/sbin/sshd && ! -d /run/systemd/system && $EUID == 0 ]] && command -v apt-get >/dev/null; then
        refresh_index
        quietly "openssh-server, for the tests" apt_install openssh-client openssh-server || true
    fi
}

missing_tools() {
    command -v make >/dev/null || echo make
    command -v x86_64-w64-mingw32-gcc >/dev/null || echo gcc-mingw-w64-x86-64
    command -v i686-w64-mingw32-gcc >/dev/null || echo gcc-mingw-w64-i686
    if ! command -v "$PYTHON" >/dev/null; then
        [[ $PYTHON != python3 ]] || printf '%s\n' python3 python3-venv
    elif ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
        "$PYTHON" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
    fi
}

# Whether this machine's Wine, of whichever packager, runs programs of 64 or 32 bit. Debian's packages are asked by
# name, because 32-bit libraries may lie there without a loader; any other Wine by the DLLs beside its program.
has_wine() {
    local bits=$1 package=wine64 folder=x86_64-windows prefix
    type -P wine >/dev/null || return 1
    [[ $bits == 64 ]] || { package=wine32:i386; folder=i386-windows; }
    if is_installed wine; then
        is_installed "$package"
    else
        prefix=$(dirname "$(dirname "$(readlink -f "$(type -P wine)")")")
        compgen -G "$prefix/lib*/wine/$folder/ntdll.dll" >/dev/null ||
            compgen -G "$prefix/lib/*/wine/$folder/ntdll.dll" >/dev/null
    fi
}

is_installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# A Wine that is not Debian's stays as it is: the two do not install side by side.
install_wine() {
    if type -P wine >/dev/null && ! is_installed wine; then
        has_wine 64 || die "$(type -P wine) runs no 64-bit programs: install a Wine that does"
        return
    fi
    apt_ready wine wine64 wine32:i386
    dpkg --print-foreign-architectures | grep -qx i386 ||
        quietly "32-bit packages allowed" as_root dpkg --add-architecture i386 || true
    refresh_index
    quietly "Wine, 64 and 32 bit" apt_install wine wine64 wine32:i386 ||
        install_wine_without_security_suite ||
        quietly "Wine, 64 bit only" apt_install wine wine64 ||
        die "apt-get could not install Wine"
    has_wine 32 || touch "$NO_WINE32"
}

# While mirrors synchronise, the security suite's 32-bit index may be missing; then 32-bit packages do not resolve
# beside newer 64-bit ones. The release and its updates alone are always consistent.
install_wine_without_security_suite() {
    local reduced downgrades=()
    APT_SCRATCH=$(mktemp -d)
    trap 'rm -rf "$APT_SCRATCH"' EXIT
    chmod 755 "$APT_SCRATCH"
    mkdir -p "$APT_SCRATCH/lists/partial"
    "$PYTHON" scripts/apt_sources.py >"$APT_SCRATCH/reduced.sources" || return 1
    reduced=(
        -o "Dir::Etc::sourcelist=$APT_SCRATCH/reduced.sources" -o Dir::Etc::sourceparts=-
        -o "Dir::State::Lists=$APT_SCRATCH/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
    )
    quietly "Package index without the security suite" apt_get "${reduced[@]}" update || return 1
    [[ -z ${ALLOW_DOWNGRADES:-} ]] || prefer_reduced_index
    quietly "Wine, 64 and 32 bit, from that index" \
        apt_install "${reduced[@]}" "${downgrades[@]}" wine wine64 wine32:i386
}

# Libraries installed in a security version must match their 32-bit twins, so they go back to the release's version:
# only when asked for, since it undoes security updates until the next upgrade. Sets its caller's downgrades.
prefer_reduced_index() {
    printf 'Package: *\nPin: release n=*\nPin-Priority: 1001\n' >"$APT_SCRATCH/preferences"
    downgrades=(--allow-downgrades -o "Dir::Etc::preferences=$APT_SCRATCH/preferences" -o Dir::Etc::preferencesparts=-)
    loud "Installed security updates that 32-bit Wine needs in one version are taken back: run apt-get upgrade later."
}

report_no_wine32() {
    loud "NO 32-BIT WINE on this machine: 32-bit sessions do not work, and the 32-bit tests are reported as not run." \
        "To try again later: rm -f $NO_WINE32 && scripts/setup.sh" \
        "If the mirrors lag behind on security updates (see $LOG) and taking some back is acceptable, then with" \
        "ALLOW_DOWNGRADES=1 before it."
}

apt_ready() {
    command -v apt-get >/dev/null || die "missing: $*" "There is no apt-get here to install them: use this system's own."
    ((EUID == 0)) && return
    command -v sudo >/dev/null ||
        die "missing: $*" "This is neither root nor has it sudo. As root: apt-get install --no-install-recommends $*"
    sudo -n true 2>/dev/null || sudo -v || die "missing: $*" "sudo does not let this user install them."
}

# An index that could not be fetched need not matter to the packages wanted: the install decides.
refresh_index() { quietly "Package index" apt_get update || true; }

apt_install() { apt_get install --no-install-recommends --no-remove "$@"; }
apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get "${APT_OPTIONS[@]}" "$@"; }

as_root() {
    if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}
