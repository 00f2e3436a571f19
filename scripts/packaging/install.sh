#!/bin/sh
# Installs runsc from this folder, without a network, and sets up Docker, containerd and Podman if they are there.
#   ./install.sh [--prefix DIR] [--root DIR] [--no-docker] [--no-containerd] [--no-podman]
#   ./install.sh --uninstall [--prefix DIR] [--root DIR]
#   --prefix DIR   where the program goes (/usr/local)
#   --root DIR     the system's top folder, for an image that is not running (/)
# Each file that is edited is kept first, as FILE.before-runsc. It can be run again, and uninstall puts everything back.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
prefix=/usr/local root='' uninstall='' docker=1 containerd=1 podman=1

say() { printf '%s\n' "$*"; }
fail() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

while [ $# -gt 0 ]; do
    case $1 in
        --prefix) prefix=${2:?--prefix needs a folder}; shift 2 ;;
        --root) root=${2:?--root needs a folder}; root=${root%/}; shift 2 ;;
        --uninstall) uninstall=1; shift ;;
        --no-docker) docker=; shift ;;
        --no-containerd) containerd=; shift ;;
        --no-podman) podman=; shift ;;
        --help | -h) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) fail "unknown option $1 (--help tells the options)" ;;
    esac
done
[ -w "${root:-/}" ] || fail "${root:-/} is not writable: run as root"

binary=$prefix/bin/runsc
shim=$prefix/bin/containerd-shim-runsc-v1
manuals='man1/runsc.1 man1/containerd-shim-runsc-v1.1 man5/runsc.toml.5'
licences=$prefix/share/doc/runsc
daemon=$root/etc/docker/daemon.json
toml=$root/etc/containerd/config.toml
containers=$root/etc/containers/containers.conf.d/runsc.conf

there() { for d in usr/bin usr/sbin usr/local/bin usr/local/sbin bin sbin; do [ ! -x "$root/$d/$1" ] || return 0; done; return 1; }

# keep FILE: a copy from before the first change; a mark instead where there was no file.
keep() {
    [ -e "$1.before-runsc" ] || [ -e "$1.absent-before-runsc" ] || {
        mkdir -p "$(dirname "$1")"
        if [ -e "$1" ]; then cp -p "$1" "$1.before-runsc"; else : >"$1.absent-before-runsc"; fi
    }
}

# restore FILE: as it was; if others have changed it meanwhile, theirs stays and only a word is said.
restore() {
    if [ -e "$1.before-runsc" ]; then
        if [ ! -e "$1.by-runsc" ] || cmp -s "$1" "$1.by-runsc"; then
            mv "$1.before-runsc" "$1"
            say "restored $1"
        else
            say "$1 has been changed since: left as it is; the old one is $1.before-runsc"
        fi
    elif [ -e "$1.absent-before-runsc" ]; then
        if [ ! -e "$1.by-runsc" ] || cmp -s "$1" "$1.by-runsc"; then
            rm -f "$1"
            say "removed $1"
        else
            say "$1 has been changed since: left as it is"
        fi
    fi
    rm -f "$1.absent-before-runsc" "$1.by-runsc"
}

# edited FILE: how it looks after our change.
edited() { cp -p "$1" "$1.by-runsc"; }

if [ -n "$uninstall" ]; then
    restore "$daemon"
    restore "$toml"
    rm -f "$containers" "$root$shim" "$root$binary"
    for page in $manuals; do rm -f "$root$prefix/share/man/$page"; done
    rm -rf "${root:+$root}${licences:?}"
    say "removed $binary"
    exit 0
fi

(cd "$here" && sha256sum --quiet -c SHA256SUMS) || fail "the files are not those that were packed"

# The new file takes the old one's place in one step: a running one goes on.
mkdir -p "$root$prefix/bin"
cp "$here/runsc" "$root$binary.new"
chmod 755 "$root$binary.new"
mv "$root$binary.new" "$root$binary"
ln -sf runsc "$root$shim"
for page in $manuals; do
    mkdir -p "$root$prefix/share/man/$(dirname "$page")"
    install -m 644 "$here/man/$(basename "$page")" "$root$prefix/share/man/$page"
done
mkdir -p "$root$licences"
cp "$here"/licences/* "$root$licences/"
say "installed $binary, its link $shim, manual pages and licences"

if [ -n "$docker" ] && there dockerd; then
    if [ -e "$daemon" ] && grep -q '"runsc"' "$daemon"; then
        say "Docker: $daemon names runsc already"
    else
        keep "$daemon"
        entry="\"runsc\": { \"path\": \"$binary\" }"
        if [ ! -s "$daemon" ] || [ "$(tr -d ' \t\r\n' <"$daemon")" = '{}' ]; then
            printf '{\n  "runtimes": { %s }\n}\n' "$entry" >"$daemon.new"
        elif grep -q '"runtimes"' "$daemon"; then
            # Braces may stand on other lines; an empty table takes no comma.
            sed -z -e 's|\("runtimes"[[:space:]]*:[[:space:]]*\){[[:space:]]*}|\1{ '"$entry"' }|;t' \
                -e 's|"runtimes"[[:space:]]*:[[:space:]]*{|& '"$entry"',|' "$daemon" >"$daemon.new"
        else
            sed -z 's|{|{\n  "runtimes": { '"$entry"' },|' "$daemon" >"$daemon.new"
        fi
        mv "$daemon.new" "$daemon"
        edited "$daemon"
        say "Docker: runtime runsc added to $daemon; reload Docker (systemctl reload docker), then: docker run --runtime=runsc …"
    fi
fi

if [ -n "$containerd" ] && there containerd; then
    if [ -e "$toml" ] && grep -q 'runtimes\.runsc\]' "$toml"; then
        say "containerd: $toml names runsc already"
    else
        keep "$toml"
        plugin='io.containerd.grpc.v1.cri'
        ! grep -qs '^version = 3' "$toml" || plugin='io.containerd.cri.v1.runtime'
        [ -s "$toml" ] || printf 'version = 2\n' >"$toml"
        # A table may stand anywhere in the file, but not twice.
        cat >>"$toml" <<END

[plugins."$plugin".containerd.runtimes.runsc]
  runtime_type = "io.containerd.runsc.v1"
  pod_annotations = ["dev.gvisor.*"]
END
        edited "$toml"
        say "containerd: runtime runsc added to $toml; restart containerd, then: ctr run --runtime io.containerd.runsc.v1 …"
        ! grep -q '^disabled_plugins.*"cri"' "$toml" || say "containerd: its CRI is disabled in $toml; ctr works without it"
    fi
fi

if [ -n "$podman" ] && there podman; then
    mkdir -p "$(dirname "$containers")"
    printf '[engine.runtimes]\nrunsc = ["%s"]\n' "$binary" >"$containers"
    say "Podman: runtime runsc set in $containers; podman --runtime runsc run …"
fi
