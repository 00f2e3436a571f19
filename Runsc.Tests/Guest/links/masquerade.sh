# A router that hides the network behind it.
. "${0%/*}/router.sh"
ip netns exec r sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
ip netns exec r iptables -t nat -A POSTROUTING -o right -j MASQUERADE
ip netns exec a ping -c 1 -W 5 10.3.2.2 | grep -o "[0-9]* received"
ip netns exec b python3 -c '
import socket
s = socket.create_server(("10.3.2.2", 7000))
print("from", s.accept()[1][0])' &
ip netns exec a python3 -c '
import socket, time
while True:
    try:
        c = socket.create_connection(("10.3.2.2", 7000))
        break
    except ConnectionRefusedError:
        time.sleep(0.1)'
wait
