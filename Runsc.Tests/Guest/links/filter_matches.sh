# Matches and targets of numbers in packets, of chance and counts; number generators, hashes and the routes in nftables: as rules, and what packets make of them.
ip link set lo up 2>/dev/null; ip link add d0 type veth peer d1; ip addr add 10.9.0.1/24 dev d0; ip link set d0 up; ip link set d1 up; ip route add 10.10.0.0/16 via 10.9.0.2
cat > /tmp/send.py <<'X'
import socket, sys
def udp(n, size=10, ttl=None, tos=None, to=('127.0.0.1', 5000)):
    s = socket.socket(10 if ':' in to[0] else 2, 2)
    if ttl: s.setsockopt(*((0, 2, ttl) if s.family == 2 else (41, 16, ttl)))
    if tos is not None: s.setsockopt(*((0, 1, tos) if s.family == 2 else (41, 67, tos)))
    for _ in range(n):
        try: s.sendto(b'x' * size, to)
        except OSError as e: print(e)
    s.close()
exec(sys.argv[1])
X
counts() { $1 -t ${2:-filter} -vnxL ${3:-OUTPUT} | tail -n +3 | awk '{ print $1, $2 }'; }
for I in iptables-legacy iptables-nft; do
I6=ip6${I#ip}
for r in '-m length --length 0:100' '-m length ! --length 40' '-m ttl --ttl-eq 64' '-m ttl ! --ttl-eq 64' '-m ttl --ttl-lt 10' '-m ttl --ttl-gt 63' '-m dscp --dscp 0x0a' '-m dscp ! --dscp-class EF' '-m tos --tos 0x10/0xff' '-m tos ! --tos 0x28' \
    '-m pkttype --pkt-type unicast' '-m pkttype ! --pkt-type multicast' '-m statistic --mode nth --every 3 --packet 1' '-m statistic --mode nth --every 4' '-m statistic --mode nth ! --every 4' '-m statistic --mode random --probability 1' '-m statistic --mode random ! --probability 1' \
    '-m connlimit --connlimit-above 3 --connlimit-mask 24' '-m connlimit --connlimit-upto 2 --connlimit-daddr'; do $I -A OUTPUT -p udp $r || echo "refused $r"; done
for r in '-m hl --hl-eq 64' '-m hl --hl-lt 64' '-m length --length 58' '-m dscp --dscp 0x0a' '-m tos --tos 0x28'; do $I6 -A OUTPUT -p udp $r || echo "refused $r"; done
for r in 'INPUT -m mac --mac-source 00:00:00:00:00:00' 'INPUT -m mac ! --mac-source 02:00:00:00:00:01'; do $I -A $r; done
$I -A OUTPUT -m mac --mac-source 00:00:00:00:00:00 2>/dev/null || echo no; $I -A OUTPUT -m tcpmss --mss 1:2 2>/dev/null || echo no; $I -A OUTPUT -j DSCP --set-dscp 1 2>/dev/null || echo no
$I -S; $I6 -S; python3 /tmp/send.py 'udp(9); udp(3, 200, ttl=5); udp(2, ttl=200, tos=0x28); udp(4, 12, tos=0x10); [udp(1) for _ in range(5)]; udp(3, to=("::1", 5000)); udp(2, 30, 3, 0x28, ("::1", 5000))'; counts $I; counts $I6; counts $I filter INPUT
$I -F; $I6 -F
$I -t mangle -A OUTPUT -p udp --dport 5001 -j TTL --ttl-set 9; $I -t mangle -A OUTPUT -p udp --dport 5002 -j TTL --ttl-inc 5; $I -t mangle -A OUTPUT -p udp --dport 5003 -j TTL --ttl-dec 100; $I6 -t mangle -A OUTPUT -p udp --dport 5004 -j HL --hl-dec 3
$I -t mangle -A OUTPUT -p udp --dport 5005 -j DSCP --set-dscp-class AF11; $I -t mangle -A OUTPUT -p udp --dport 5006 -j TOS --set-tos 0x08/0x3c; $I6 -t mangle -A OUTPUT -p udp --dport 5007 -j DSCP --set-dscp 5
$I -t mangle -A OUTPUT -p tcp --dport 5008 --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 700; $I -t mangle -A POSTROUTING -p tcp --dport 5009 --syn -j TCPMSS --clamp-mss-to-pmtu; $I -t mangle -A INPUT -p tcp --syn -j TCPMSS --clamp-mss-to-pmtu 2>/dev/null || echo no
$I -A INPUT -p tcp --syn -m tcpmss --mss 700; $I -A INPUT -p tcp --syn -m tcpmss ! --mss 1:700
$I -t mangle -S; $I6 -t mangle -S
python3 - <<'X'
import socket
def got(family, port, tos=None):
    s = socket.socket(family, 2); s.settimeout(3); s.bind(('::1' if family == 10 else '127.0.0.1', port))
    if family == 2: s.setsockopt(0, 12, 1); s.setsockopt(0, 13, 1)
    else: s.setsockopt(41, 51, 1); s.setsockopt(41, 66, 1)
    if tos: s.setsockopt(0 if family == 2 else 41, 1 if family == 2 else 67, tos)
    s.sendto(b'hello', s.getsockname()); d, c, f, a = s.recvmsg(99, 99); print(port, d, sorted((l, t, v[0]) for l, t, v in c))
for p in (5001, 5002, 5003): got(2, p)
got(10, 5004); got(2, 5005, 3); got(2, 5006, 0xff); got(10, 5007, 0xff)
for p in (5008, 5009):
    l = socket.socket(); l.bind(('127.0.0.1', p)); l.listen(); c = socket.create_connection(('127.0.0.1', p)); a, _ = l.accept(); a.sendall(b'x' * 100000); n = 0
    while n < 100000: n += len(c.recv(65536))
    print(p, a.getsockopt(6, 2) < 1000, n)
X
counts $I filter INPUT; $I -t mangle -F; $I6 -t mangle -F; $I -F
done
iptables-nft -F; nft flush ruleset
cat > /tmp/rules <<'X'
table inet t {
 map m { type mark : verdict; elements = { 0 : jump a, 1 : jump b, 2 : jump c } }
 chain a { counter; }
 chain b { counter; }
 chain c { counter; }
 chain h0 { counter; }
 chain h1 { counter; }
 chain out { type filter hook output priority 0;
  udp dport 6000 numgen inc mod 3 vmap { 0 : jump a, 1 : jump b, 2 : jump c }
  udp dport 6001 numgen inc mod 4 offset 10 vmap { 10 : jump a, 12 : jump c }
  udp dport 6002 meta mark set numgen random mod 1 offset 7
  udp dport 6002 meta mark 7 counter
  udp dport 6010-6050 jhash ip daddr . udp dport mod 2 seed 0xdeadbeef vmap { 0 : jump h0, 1 : jump h1 }
  udp dport 6010-6050 jhash ip daddr mod 10 seed 0x5 offset 100 vmap { 100-104 : jump h0, 105-109 : jump h1 }
  meta l4proto udp fib daddr type local counter
  meta l4proto udp fib daddr type { unicast, multicast, broadcast } counter
  meta l4proto udp fib saddr type local counter
  meta l4proto udp fib daddr . oif type local counter
 }
 chain in { type filter hook input priority 0;
  meta l4proto icmp counter
  meta l4proto udp fib saddr . iif oif "lo" counter
  meta l4proto udp fib saddr . iif oif missing counter
  meta l4proto udp fib saddr oifname "lo" counter
  meta l4proto udp fib daddr . iif type local counter
 }
}
X
nft -f /tmp/rules; nft list ruleset
python3 /tmp/send.py 'udp(7, to=("127.0.0.1", 6000)); udp(9, to=("127.0.0.1", 6001)); udp(2, to=("127.0.0.1", 6002)); [udp(1, to=("127.0.0.%d" % i, 6000 + i)) for i in range(10, 51)]; udp(1, to=("10.9.0.1", 9)); udp(1, to=("10.10.0.1", 9)); udp(1, to=("224.0.0.1", 9)); udp(1, to=("::1", 9)); udp(1, to=("192.0.2.1", 9))'
nft list ruleset
nft add rule inet t out fib saddr oif lo; nft add rule inet t in fib daddr . oif type local; nft add rule inet t out numgen inc mod 0 2>&1 | head -1; nft add chain inet t p '{ type filter hook prerouting priority 0; }'; nft add rule inet t p fib saddr . mark . iif oif missing drop; nft add rule inet t p fib daddr check exists counter; nft list chain inet t p
