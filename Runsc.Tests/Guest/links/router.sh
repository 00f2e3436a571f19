# The namespaces a and b on both sides of r, by veth pairs; a knows the way to b.
for n in a r b; do ip netns add $n; ip -n $n link set lo up; done
ip link add eth0 netns a type veth peer name left netns r
ip link add eth0 netns b type veth peer name right netns r
ip -n a addr add 10.3.1.2/24 dev eth0; ip -n r addr add 10.3.1.1/24 dev left
ip -n b addr add 10.3.2.2/24 dev eth0; ip -n r addr add 10.3.2.1/24 dev right
for l in "a eth0" "b eth0" "r left" "r right"; do set -- $l; ip -n $1 link set $2 up; done
ip -n a route add default via 10.3.1.1
