# What ip(8) lists, and in which order.
ip link set lo up
ip link add d0 type veth peer name d1
ip link set d0 address 02:00:00:00:00:01
ip link set d1 up
ip link set d0 up
ip addr add 10.1.0.1/24 dev d0
ip addr add 10.1.0.2/24 dev d0
ip addr add fd00:1::a/64 dev d0 nodad
ip addr add fd00:2::b/64 dev d0 nodad
ip route add default via 10.1.0.9
ip route add 10.0.0.0/8 via 10.1.0.8 metric 7
ip route add 192.168.0.0/16 dev d0
ip -6 route add default via fd00:1::9
ip -6 route add fd00::/8 via fd00:1::8
for i in $(seq 100); do ip -6 addr show dev d0 | grep -q tentative || break; sleep 0.1; done

echo "-- addresses"
(ip -o addr show dev lo; ip -o addr show dev d0) | sed 's/^[0-9]*: //; s/nodad *//; s/ *\\.*//; s/ proto [a-z_]*//'
echo "-- routes"
ip route
ip -6 route show dev d0
ip route show table local | sed 's/ src .*//'
ip -6 route show table local type local dev d0
echo "-- ways"
ip route get 10.1.0.5
ip route get 10.7.7.7
ip route get 127.0.0.1
ip -6 route get fd00:1::5
ip -6 route get fd00:9::1
ip -6 route get 2001::1
ip -6 route get ::1
echo "-- groups"
ip -6 maddr show dev lo
ip -6 maddr show dev d0 | sed 's/^[0-9]*://'
echo "-- sockets"
python3 -c '
import socket
def show(what):
    print(what, *[line.split(" alloc")[0] for line in open("/proc/net/sockstat") if line.startswith("TCP")])
show("none")
s = socket.create_server(("127.0.0.1", 0))
six = socket.create_server(("::1", 0), family=socket.AF_INET6)
c = socket.create_connection(s.getsockname())
p, _ = s.accept()
show("four")
p.close()
c.recv(1)
c.close()
show("closed")
'
