# A bridge with two namespaces at its ports.
try() { "$@" 2>/dev/null; echo "status $? of $*"; }
ip link add br0 type bridge
ip link show br0 | grep -v link/
ip link set br0 up
ip link show br0 | grep -v link/
for n in a b; do
  ip netns add $n
  ip link add p$n type veth peer name eth0 netns $n
  ip link set p$n master br0 up
done
ip netns exec a ip addr add 10.2.0.1/24 dev eth0; ip -n a link set eth0 up; ip -n a link set lo up
ip -n b addr add 10.2.0.2/24 dev eth0; ip -n b link set eth0 up; ip -n b link set lo up
ip addr add 10.2.0.254/24 dev br0
sleep 1
ip link show | grep -v link/ | sed 's/@if[0-9]*//'
bridge link
ip link show master br0 | grep -v link/ | sed 's/@.*: </: </'
ip netns exec a ping -c 2 -W 5 10.2.0.2 | grep -o ".*ttl"
ip netns exec a ping -c 1 -W 5 10.2.0.254 | grep -o ".*ttl"
ping -c 1 -W 5 10.2.0.2 | grep -o ".*ttl"
bridge fdb show br br0 | grep -v permanent | wc -l
least=$(cat /sys/class/net/pa/address /sys/class/net/pb/address | sort | head -1)
[ "$least" = "$(cat /sys/class/net/br0/address)" ]; echo "least address $?"
ip link set pa mtu 1400; ip link show br0 | grep -o "mtu [0-9]*"
try ip link set pa master lo
ip link add br1 type bridge; try ip link set br1 master br0
try ip link set lo master br0
try ip link set br1 netns a
ip link set pa nomaster; ip link show pa | grep -o master
ip netns exec a ping -c 1 -W 1 10.2.0.2 | grep -o "[0-9]* received"
ip link del br0; ip link show pb | grep -o "master"
