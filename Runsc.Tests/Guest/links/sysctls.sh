# net.ipv4.conf and net.ipv6.conf of interfaces: who follows whom, what comes with a new interface, and what IPv6 does when it is switched off.
cd /proc/sys/net
show() { for i in all default lo d0 d1; do cat $1/conf/$i/$2 > /dev/null 2>&1 && printf '%s=%s ' $i "$(cat $1/conf/$i/$2)"; done; echo "$1 $2"; }
add() { ip link add $1 type veth peer name p$1; }
for i in all default lo; do echo 0 > ipv4/conf/$i/forwarding; for s in rp_filter route_localnet accept_local arp_ignore; do echo 0 > ipv4/conf/$i/$s; done; done
add d0
ls ipv4/conf ipv6/conf
echo 1 > ipv4/ip_forward; show ipv4 forwarding
echo 0 > ipv4/conf/d0/forwarding; show ipv4 forwarding; cat ipv4/ip_forward
echo 0 > ipv4/conf/default/forwarding; add d1; show ipv4 forwarding
echo 0 > ipv4/conf/all/forwarding; show ipv4 forwarding; cat ipv4/ip_forward
ip link del d1
echo 2 > ipv4/conf/d0/rp_filter; echo 1 > ipv4/conf/default/rp_filter; add d1; printf '%s %s %s\n' $(cat ipv4/conf/all/rp_filter ipv4/conf/d0/rp_filter ipv4/conf/d1/rp_filter)
echo 1 > ipv4/conf/d1/route_localnet; show ipv4 route_localnet
echo 1 > ipv4/conf/d1/accept_local; show ipv4 accept_local
echo 1 > ipv4/conf/all/arp_ignore; show ipv4 arp_ignore
echo 1 > ipv6/conf/all/forwarding; show ipv6 forwarding
echo 0 > ipv6/conf/d0/forwarding; show ipv6 forwarding
echo 0 > ipv6/conf/all/forwarding; show ipv6 forwarding
echo 0 > ipv6/conf/default/accept_ra; echo 2 > ipv6/conf/d0/accept_ra; echo 0 > ipv6/conf/d0/autoconf; echo 0 > ipv6/conf/d0/dad_transmits; echo 33 > ipv6/conf/d0/hop_limit
ip link del d1; add d1; show ipv6 accept_ra; show ipv6 autoconf; show ipv6 dad_transmits; show ipv6 hop_limit
addresses() { ip -6 -o addr show dev $1 | awk '{print $2, $3 == "inet6" ? ($4 ~ /^fe80/ ? "link-local" : $4) : $3}'; }
ip link set d0 up; ip link set pd0 up; ip -6 addr add fd00::1/64 dev d0 nodad; addresses d0
echo 1 > ipv6/conf/d0/disable_ipv6; addresses d0; ip -6 route show dev d0; ip -6 addr add fd00::2/64 dev d0 2>&1 | sed 's/.*: .*/refused/'
echo 0 > ipv6/conf/d0/disable_ipv6; addresses d0
echo 1 > ipv6/conf/all/disable_ipv6; show ipv6 disable_ipv6; addresses d0
echo 0 > ipv6/conf/all/disable_ipv6; show ipv6 disable_ipv6; addresses d0
ip link set lo up; addresses lo; echo 1 > ipv6/conf/lo/disable_ipv6; addresses lo; echo 0 > ipv6/conf/lo/disable_ipv6; addresses lo
ip link set d0 name other; ls ipv4/conf; cat ipv6/conf/other/hop_limit
cat ipv4/conf/d0/rp_filter 2>&1 | grep -o 'No such.*'
echo x > ipv4/conf/d1/rp_filter 2>/dev/null || echo no number
