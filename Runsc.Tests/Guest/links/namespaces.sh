# Namespaces, veth pairs, and what ip(8) says of them.
try() { "$@" 2>/dev/null; echo "status $? of $*"; }
ip link show
ip netns add a; ip netns add b
ip netns list | sort
ip link add v0 type veth peer name v1
ip link show | grep -v link/
ip link set v0 netns a; ip link set v1 netns b
ip -n a link show | grep -v link/
ip -n a addr add 10.1.0.1/24 dev v0; ip -n b addr add 10.1.0.2/24 dev v1
ip -n a link set v0 up
ip -n a link show v0 | grep -v link/
ip -n b link set v1 up
ip -n a link set lo up
ip -n a link show | grep -v link/
ip -n a -4 addr show
ip -n a route
ip netns exec a ls /sys/class/net
ip netns exec b python3 -c 'import socket; print(socket.create_server(("10.1.0.2", 7000)).getsockname())'
ip netns exec a ping -c 2 10.1.0.2 | grep -o ".*ttl"
ip netns exec a ping -c 1 127.0.0.1 | grep -o ".*ttl"
ip netns exec a ping -c 1 -s 9000 10.1.0.2 | grep -o ".*ttl"
ip netns exec a cat /proc/self/net/dev | grep -c v0
[ "$(ip netns exec a readlink /proc/self/ns/net)" = "$(readlink /proc/self/ns/net)" ]; echo "same $?"
[ "$(ip netns exec a stat -L -c %i /proc/self/ns/net)" = "$(stat -c %i /run/netns/a)" ]; echo "same $?"
try ip link add x type nonsense
try ip link add a/b type veth
try ip link add aaaaaaaaaaaaaaaaaa type veth
try ip link add v0 mtu 20 type veth
try ip link del nope
try ip link del lo
try ip link set lo netns a
try ip link set lo name nothing/good
try ip link set nope up
ip link add p0 mtu 1400 address 02:00:00:00:00:07 type veth peer name p1 netns a mtu 1300
ip link show p0
ip -n a link show p1 | grep -v link/
try ip link add p0 type veth
try ip link add p2 type veth peer name p0
ip -n a link del p1; try ip link show p0
ip link add type veth; ip link show | grep -v link/
ip link set veth0 name first; ip link set first mtu 1280 txqueuelen 10; ip link show first | grep -v link/
(unshare -n sh -c 'ip link show | grep -v link/; sleep 1') & sleep 0.5; ip link set first netns $!; wait
sleep 0.5; try ip link show veth1
ip netns exec a sleep 2 & sleep 0.5
ip link add q0 type veth peer name q1 netns $!; ip link show q0 | grep -v link/; wait
ip netns del a
sleep 0.5
ip -n b link show | grep -v link/
ip netns del b
ip netns list
