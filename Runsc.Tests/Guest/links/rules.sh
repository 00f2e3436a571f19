# Rules of policy routing: how they are kept and shown, and which way packets go by them.
say() { echo "== $*"; "$@"; echo "-> $?"; }
way() { echo "== way $*"; ip route get "$@" 2>&1 | sed -n '1s/ table [0-9]*//; 1s/ mark .*//; 1s/ uid .*//; 1s/ src .*//; 1p'; }
ip link add v0 type veth peer name v1
for l in lo v0 v1; do ip link set $l up; done
ip addr add 10.9.0.1/24 dev v0; ip addr add 10.9.1.1/24 dev v0
say ip rule
say ip -6 rule
say ip rule add from 10.9.1.0/24 table 100
say ip rule add from 10.9.1.0/24 table 100 prio 500
say ip rule add from 10.9.1.0/24 table 100 prio 500
say ip rule add to 192.0.2.0/24 table 1000 priority 50
say ip rule add fwmark 7 table 101
say ip rule add fwmark 0x10/0xf0 table 101 prio 70
say ip rule add iif v0 table 102
say ip rule add oif nosuch table 103
say ip rule add not from 10.9.0.0/16 to 8.8.4.0/24 blackhole prio 60
say ip rule add unreachable to 198.51.100.0/24 prio 61
say ip rule add prohibit to 203.0.113.0/24 prio 62
say ip rule add table main suppress_prefixlength 0 prio 40
say ip rule add from 1.2.3.4 tos 0x10 table 7 prio 80
say ip rule
say ip -d rule
say ip -6 rule add from 2001:db8:a::/64 table 100
say ip -6 rule add iif lo table 104 prio 5
say ip -6 rule
say ip rule del from 10.9.1.0/24 prio 500
say ip rule del prio 70
say ip rule del prio 70
say ip rule del prio 80
say ip rule del oif nosuch
say ip rule del prio 60
say ip rule
say ip route add default via 10.9.0.254 dev v0
say ip route add default via 10.9.1.254 dev v0 table 100
way 8.8.8.8
way 8.8.8.8 from 10.9.1.1
way 8.8.8.8 from 10.9.0.1
way 198.51.100.1
way 203.0.113.1
way 8.8.8.8 mark 7
say ip route add 8.8.8.0/24 via 10.9.0.253 table 101
say ip route add 192.0.2.9 via 10.9.0.252 table 1000
way 8.8.8.8 mark 7
way 8.8.8.8
way 192.0.2.9
way 192.0.2.8
say ip route show table 101
say ip rule del prio 0
say ip rule add table local prio 0
say ip rule
say ip rule flush
say ip rule
