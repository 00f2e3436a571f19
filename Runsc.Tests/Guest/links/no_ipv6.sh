# What connecting says where a namespace has no address of IPv6 (each answer by bash's words for it).
try()
{
    echo "== $1"
    for p in tcp udp; do
        for a in ::1 2001:db8::1 fe80::1%lo fe80::1%dm0 ff02::1%lo ff0e::1; do
            bash -c "exec 3<>/dev/$p/$a/9" 2>&1 | sed -n "1s/.*: /$p $a: /p"
        done
    done
}

ip link set lo up
try on
sysctl -qw net.ipv6.conf.all.disable_ipv6=1
try off
ip link add dm0 type veth peer name dm1
ip link set dm0 up; ip link set dm1 up
try "a link without addresses"
ip route add unreachable 2001:db8::/32
ip -6 route add prohibit 2001:db8::/64
sysctl -qw net.ipv6.conf.lo.disable_ipv6=0
try "routes of errors"
