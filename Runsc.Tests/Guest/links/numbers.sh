# Queues of interfaces, and numbers of namespaces.
ip link set lo up; ip link add v0 type veth peer name v1; ip link set v0 up
tc qdisc show; tc qdisc show dev v1; tc class show dev v0; tc filter show dev v0
ip netns add a; ip netns add b; ip netns set a 5; ip netns list-id; ip netns | sort
ip netns set a 6 2> /dev/null || echo it has one; ip netns set b 5 2> /dev/null || echo taken; ip netns set b auto; ip netns list-id
