# Shared by the scripts of this folder; sourced, not run.

set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
# The SDK works without ICU, which a machine that got it as a tarball may lack.
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/runsc

say() { printf '==> %s\n' "$*" >&2; }
fail() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# need COMMAND=PACKAGE …: installs the Debian packages of the commands (or, with a leading /, files) that are not there.
need() {
    missing=
    for pair in "$@"; do
        thing=${pair%%=*} package=${pair#*=}
        case $thing in
            /*) [ -e "$thing" ] || missing="$missing $package" ;;
            *) command -v "$thing" >/dev/null 2>&1 || [ -x "/usr/sbin/$thing" ] || missing="$missing $package" ;;
        esac
    done
    [ -n "$missing" ] || return 0
    [ "$(id -u)" = 0 ] || fail "missing packages:$missing (run as root to have them installed)"
    command -v apt-get >/dev/null 2>&1 || fail "missing:$missing, and there is no apt-get to install them with"
    say "installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    apt-get install -y -q --no-install-recommends $missing >/dev/null 2>&1 ||
        { apt-get update -q >/dev/null && apt-get install -y -q --no-install-recommends $missing >/dev/null; } ||
        fail "could not install$missing"
}

need_sdk() {
    command -v dotnet >/dev/null 2>&1 || fail "the .NET 10 SDK is missing (no dotnet in PATH)"
    case $(dotnet --version) in
        1[0-9].*) ;;
        *) fail "the .NET SDK is $(dotnet --version); 10.0 or later is needed" ;;
    esac
}

# choose_platform: sets $platform to kvm where it can be used, and says why if not.
choose_platform() {
    platform=systrap
    if [ ! -e /dev/kvm ]; then
        say "/dev/kvm is missing (load kvm_intel or kvm_amd, or allow nested virtualisation): going on with --platform=systrap, which is slower"
    elif ! { [ -r /dev/kvm ] && [ -w /dev/kvm ]; }; then
        say "/dev/kvm may not be opened by $(id -un) (run as root or join its group): going on with --platform=systrap, which is slower"
    else
        platform=kvm
    fi
}

# debian_root DIR PACKAGES: makes a Debian 12 root in DIR, anew when other packages are asked for than it has; made elsewhere first, so that a broken run leaves
# nothing half done. Where it cannot be made, an older one does.
debian_root() {
    if [ -d "$1" ]; then
        [ "$(cat "$1.packages" 2>/dev/null)" != "$2" ] || return 0
    fi
    need debootstrap=debootstrap
    [ "$(id -u)" = 0 ] || fail "debootstrap needs root"
    say "making a Debian 12 root in $1 (a minute or two)"
    mkdir -p "$(dirname "$1")"
    making=$(mktemp -d "$1.XXXXXX")
    if ! debootstrap --variant=minbase ${2:+--include="$2"} bookworm "$making" >"$making.log" 2>&1; then
        tail -5 "$making.log" >&2
        rm -rf "$making"
        [ ! -d "$1" ] || { say "debootstrap failed; its log is $making.log; going on with the root that was there"; return 0; }
        fail "debootstrap failed; its log is $making.log"
    fi
    chmod 755 "$making"
    rm -rf "$1"
    mv "$making" "$1"
    echo "$2" >"$1.packages"
    rm -f "$making.log"
}
