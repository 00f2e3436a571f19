mknod /run/tun c 10 200
"$1" /run/tun
