# What conntrack(8) shows and does of the connections that rules look at. Times, numbers of users and the order of tables are left out.
norm() { sed -E 's/ use=[0-9]+//; s/ portid=.*//; s/^( *\[[A-Z]+\] |[a-z0-9]+ +[0-9]+ +)?([a-z0-9]+ +[0-9]+) [0-9]+ /\1\2 TIME /' | sort; }
show() { conntrack -L "$@" 2>&1 | norm; }
ip link set lo up 2>/dev/null
conntrack -L; conntrack -C; conntrack -F; conntrack -G -p tcp --src 1.2.3.4 --dst 1.2.3.5 --sport 1 --dport 2; cat /proc/net/nf_conntrack
cat > /tmp/traffic.py <<'X'
import socket, sys, time
def wait():
    sys.stdout.flush(); sys.stdin.readline()
l = socket.socket(); l.setsockopt(1, 2, 1); l.bind(('127.0.0.1', 8000)); l.listen(5)
a = socket.socket(); a.bind(('127.0.0.1', 8001)); a.connect(('127.0.0.1', 8000)); b, _ = l.accept(); a.send(b'x'); b.recv(1); b.send(b'yy'); a.recv(2)
u = socket.socket(2, 2); u.bind(('127.0.0.1', 8002)); v = socket.socket(2, 2); v.bind(('127.0.0.1', 8003)); v.sendto(b'q', ('127.0.0.1', 8002)); u.recv(1)
w = socket.socket(2, 2); w.bind(('127.0.0.1', 8004)); w.sendto(b'q', ('127.0.0.1', 8002)); d, p = u.recvfrom(1); u.sendto(b'a', p)
w.sendto(b'q', ('127.0.0.1', 9)); w.close()
r = socket.socket(); r.bind(('127.0.0.1', 8005))
try: r.connect(('127.0.0.1', 9))
except OSError as e: print(e)
six = socket.socket(10, 2); six.bind(('::1', 8006)); six.sendto(b'q', ('::1', 8006))
n = socket.socket(); n.bind(('127.0.0.1', 8007)); n.connect(('127.0.0.1', 81)); m, _ = l.accept()
wait()
a.shutdown(1); b.recv(1); print('shut'); wait()
b.close(); print('closed'); wait()
n.setsockopt(1, 13, b'\x01\0\0\0\0\0\0\0'); n.close(); print('reset'); wait()
X
mkfifo /tmp/in /tmp/out; sleep 999 > /tmp/in & held=$!
iptables-legacy -A OUTPUT -m conntrack --ctstate INVALID -j DROP; ip6tables-legacy -A OUTPUT -m conntrack --ctstate INVALID -j DROP; iptables-legacy -t nat -A OUTPUT -p tcp --dport 81 -j REDIRECT --to-ports 8000
echo 1 > /proc/sys/net/netfilter/nf_conntrack_acct
conntrack -E > /tmp/heard 2>&1 & listener=$!; sleep 1
python3 -u /tmp/traffic.py < /tmp/in > /tmp/out & exec 3< /tmp/out; read line <&3; echo "$line"; sleep 0.5
show; show -f ipv6; show -p tcp --state ESTABLISHED; show -p udp -o extended; show -n; show -g; show -o xml | head -3 | cut -c1-200; conntrack -C
norm < /proc/net/nf_conntrack
conntrack -G -p tcp --orig-src 127.0.0.1 --orig-dst 127.0.0.1 --sport 8001 --dport 8000 2>&1 | norm
conntrack -G -p tcp --orig-src 127.0.0.1 --orig-dst 127.0.0.1 --sport 8001 --dport 8099 2>&1 | norm
echo > /tmp/in; read line <&3; sleep 0.5; show -p tcp; echo > /tmp/in; read line <&3; show -p tcp; echo > /tmp/in; read line <&3; show -p tcp
conntrack -U -f ipv4 -p tcp --sport 8001 -m 7 2>&1 | norm; show -m 7; show -m 6/6; show -p udp -m 0; conntrack -U -f ipv4 -p udp --sport 8004 --dport 8002 -t 1000 2>&1 | norm; conntrack -L -p udp 2>/dev/null | awk '{ print ($3 > 900) }' | sort
conntrack -U -f ipv4 -p udp --sport 8004 --dport 8002 -u ASSURED 2>&1 | norm; show -u ASSURED; show -u SEEN_REPLY -p udp; conntrack -U -p udp --sport 8003 -m 1; conntrack -U -f ipv4 -p udp --sport 8003 -u UNSET; show -p udp
conntrack -D -p udp --sport 8003 2>&1 | norm; conntrack -D -p udp --sport 8003; conntrack -D -f ipv6 2>&1 | norm
conntrack -I -p tcp -s 1.1.1.1 -d 2.2.2.2 --sport 10 --dport 20 -t 500 --state ESTABLISHED -u ASSURED -m 5 2>&1 | norm; show -s 1.1.1.1; conntrack -I -p tcp -s 1.1.1.1 -d 2.2.2.2 --sport 10 --dport 20 -t 500 --state ESTABLISHED
conntrack -I -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 10 --dport 20 -t 500 -n 3.3.3.3 2>&1 | norm; conntrack -I -p udp -s 1.1.1.2 -d 2.2.2.2 --sport 10 --dport 20 -t 500 --dst-nat 4.4.4.4:5 2>&1 | norm
conntrack -I -p icmp -s 1.1.1.1 -d 2.2.2.2 --icmp-type 8 --icmp-code 0 --icmp-id 9 -t 60 2>&1 | norm; conntrack -I -p udp -s fd00::1 -d fd00::2 --sport 1 --dport 2 -t 60 2>&1 | norm; show
conntrack -I -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 11 --dport 20; conntrack -U -f ipv4 -p tcp -s 1.1.1.1 --state CLOSE 2>&1 | norm; conntrack -U -f ipv4 -p udp -s 9.9.9.9 -m 1
iptables-legacy -F; iptables-legacy -t nat -F; conntrack -C; show -m 5; show -z; show
conntrack -F; conntrack -C; conntrack -S | awk '{ for (i = 2; i <= NF; i++) { split($i, a, "="); n[a[1]] += a[2] } } END { print (n["invalid"] > 0), n["insert"], n["drop"], n["early_drop"] }'
conntrack -L expect; conntrack -C expect; conntrack -F expect; conntrack -L dying; conntrack -L unconfirmed
sleep 1; kill $listener $held; wait $listener $held 2>/dev/null; norm < /tmp/heard
setpriv --reuid 1 --clear-groups --bounding-set -net_admin conntrack -L
