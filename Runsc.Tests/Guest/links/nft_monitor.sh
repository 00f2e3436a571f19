# What nft(8) hears of the changes that others make.
nft monitor > /run/heard & sleep 1
nft add table inet t; nft add chain inet t c '{ type filter hook input priority 0; policy drop; }'; nft add rule inet t c tcp dport 80 counter accept; nft add set inet t s '{ type ipv4_addr; flags timeout; }'
nft add element inet t s '{ 1.2.3.4 }'; nft delete element inet t s '{ 1.2.3.4 }'; nft add counter inet t n; nft delete counter inet t n; nft add map inet t m '{ type ipv4_addr : mark; }'
nft add element inet t m '{ 1.1.1.1 : 5 }'; nft delete rule inet t c handle 2; nft rename chain inet t c d; nft delete set inet t s; nft delete chain inet t d; nft delete table inet t
sleep 1; kill $!; wait $! 2> /dev/null
sed 's/# new generation .*/# new generation/' /run/heard
