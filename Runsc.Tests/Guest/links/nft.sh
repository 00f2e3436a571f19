cat > /run/objects <<X
table inet t {
 counter c1 { comment "hits" }
 quota q1 { over 3000 bytes }
 limit l1 { rate 400/minute burst 7 packets }
}
X
nft -f /run/objects
nft list ruleset
cat > /run/dynamic <<X
table inet t {
 set timed { type ipv4_addr; flags timeout; timeout 1h; elements = { 10.0.0.1, 10.0.0.2 timeout 2h } }
 set spans { type ipv4_addr; flags interval,timeout; elements = { 10.1.0.0/16 timeout 3h } }
 set seen { type ipv4_addr . inet_service; size 1000; flags dynamic,timeout; timeout 1h; }
 set few { type ipv4_addr; size 3; flags dynamic; }
 set counted { type ipv4_addr; counter; elements = { 127.0.0.1 } }
 map byport { type inet_service : counter; elements = { 7 : "c1" } }
 map learned { type ipv4_addr : inet_service; size 10; flags dynamic; }
 chain out { type filter hook output priority 0; policy accept;
  meta l4proto udp ip daddr @counted counter
  udp dport 7 counter name "c1"
  udp dport 8 quota name "q1" counter drop
  udp dport 9 limit name "l1" counter
  counter name udp dport map @byport
  udp dport 10 quota 100 bytes counter
  udp dport 11 add @seen { ip daddr . udp dport } counter
  udp dport 12 update @few { ip daddr counter } counter
  udp dport 13 add @learned { ip daddr : udp dport } counter
  udp dport 14 delete @few { ip daddr }
  ct state new udp dport 15 ct count over 2 counter
 }
}
X
nft -f /run/dynamic; nft list ruleset | sed 's/expires [0-9a-z]*/expires X/g'
ip link set lo up
cat > /run/send.py <<'X'
import socket, sys
u = socket.socket(2, 2)
for word in sys.argv[1:]:
    address, port, count, size = word.split(',')
    for i in range(int(count)):
        try: u.sendto(b'x' * int(size), (address, int(port)))
        except OSError as e: print(word, i, e.strerror)
X
python3 /run/send.py 127.0.0.1,7,3,10 127.0.0.1,8,5,1000 127.0.0.1,9,2,10 127.0.0.1,10,2,50 127.0.0.1,11,2,1 127.0.0.2,11,1,1 127.0.0.3,12,2,1 127.0.0.4,12,1,1 127.0.0.5,12,1,1 127.0.0.6,12,1,1 127.0.0.7,13,1,1 127.0.0.3,14,1,1
for i in 1 2 3 4; do python3 /run/send.py 127.0.0.1,15,1,1; done
nft list ruleset | sed 's/expires [0-9a-z]*/expires X/g'
nft list counters; nft reset counters; nft list counter inet t c1; nft reset quotas; nft list quotas; nft reset quota inet t q1; nft list limits
nft reset rules > /dev/null 2>&1; nft list chain inet t out | sed 's/expires [0-9a-z]*/expires X/g'
nft get element inet t few '{ 127.0.0.4 }'; nft get element inet t few '{ 1.1.1.1 }' 2>&1 | tail -3
nft add set inet t tight '{ type ipv4_addr; size 1; flags dynamic; }'; nft add element inet t tight '{ 1.1.1.1 }' 2>&1 | head -1; nft add element inet t tight '{ 1.1.1.2 }' 2>&1 | head -1; nft list set inet t tight; nft delete element inet t few '{ 127.0.0.4 }'; nft delete element inet t few '{ 127.0.0.4 }' 2>&1 | head -1
nft list set inet t few; nft flush set inet t few; nft list set inet t few
nft add element inet t timed '{ 10.0.0.9 timeout 10m expires 5m }'; nft add element inet t timed '{ 10.0.0.1 }'; nft create element inet t timed '{ 10.0.0.1 }' 2>&1 | head -1
nft list set inet t timed | sed 's/expires [0-9a-z]*/expires X/g'
nft add set inet t short '{ type ipv4_addr; flags timeout; }'; nft add element inet t short '{ 1.2.3.4 timeout 300ms, 1.2.3.5 timeout 1h }'; sleep 0.5; nft list set inet t short | sed 's/expires [0-9a-z]*/expires X/g'
nft add element inet t short '{ 1.2.3.4 timeout 1h }'; nft list set inet t short | sed 's/expires [0-9a-z]*/expires X/g'
nft delete counter inet t c1 2>&1 | head -1; nft delete quota inet t none 2>&1 | head -1; nft add counter inet t c2; nft delete counter inet t c2; nft add counter inet t c1; nft create counter inet t c1 2>&1 | head -1
nft add set inet t bad '{ type ipv4_addr; timeout 1h; flags interval,dynamic; }' 2>&1 | head -1
nft add rule inet t out add @counted '{ ip daddr }' 2>&1 | head -1
nft add rule inet t out counter name none 2>&1 | head -1
nft add set inet t noflag '{ type ipv4_addr; }'; nft add element inet t noflag '{ 1.1.1.1 timeout 1s }' 2>&1 | head -1
nft flush ruleset; nft list ruleset
