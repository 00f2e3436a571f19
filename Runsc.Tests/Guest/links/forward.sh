# A router between two namespaces.
. "${0%/*}/router.sh"
ip netns exec a ping -c 1 -W 1 10.3.2.2 | grep -o "[0-9]* received"
ip netns exec r sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
ip netns exec a ping -c 1 -W 1 10.3.2.2 | grep -o "[0-9]* received"
ip -n b route add 10.3.1.0/24 via 10.3.2.1
ip netns exec a ping -c 2 -W 5 10.3.2.2 | grep -o ".*ttl=[0-9]*"
ip netns exec b python3 -c '
import socket, hashlib
s = socket.create_server(("10.3.2.2", 7000))
c, _ = s.accept()
h = hashlib.md5()
while d := c.recv(65536): h.update(d)
print(h.hexdigest())' &
ip netns exec a python3 -c '
import socket, time
while True:
    try:
        c = socket.create_connection(("10.3.2.2", 7000))
        break
    except ConnectionRefusedError:
        time.sleep(0.1)
c.sendall(bytes(range(256)) * 40000)'
wait
ip -n b route del 10.3.1.0/24
