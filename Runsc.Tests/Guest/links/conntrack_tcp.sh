# What connection tracking says of segments made by hand: those outside of the windows, resets, ports used again, connections picked up in the middle.
ip link set lo up 2>/dev/null
cat > /tmp/segments.py <<'X'
import socket, struct, subprocess
raw = socket.socket(2, 3, 255)
F, S, R, P, A = 1, 2, 4, 8, 16
def run(c): return subprocess.run(c, shell=True, capture_output=True, text=True).stdout
for r in ('-A INPUT -p tcp -j DROP', '-A OUTPUT -m conntrack --ctstate NEW', '-A OUTPUT -m conntrack --ctstate ESTABLISHED', '-A OUTPUT -m conntrack --ctstate INVALID'): run('iptables-legacy ' + r)
def put(name, value): open('/proc/sys/net/netfilter/nf_conntrack_' + name, 'w').write(value)
port = 1000
def show():
    found = ''
    for line in open('/proc/net/nf_conntrack'):
        w = line.split()
        if w[2] == 'tcp' and ('sport=%d' % port) in w:
            t = int(w[4]); found += ' %s %s%s%s' % (w[5], 'forever' if t > 300 else t + 9 - (t + 9) % 10 if t > 10 else '10', ' [UNREPLIED]' if '[UNREPLIED]' in w else '', ' [ASSURED]' if '[ASSURED]' in w else '')
    return found
# Who sends (c or s), flags, sequence number and acknowledgement relative to the initial ones, bytes, window, options.
def send(who, flags, seq, ack=0, length=0, window=1000, options=b''):
    a, b, sp, dp = (1, 2, port, 80) if who == 'c' else (2, 1, 80, port)
    isn, other = (5000, 0xfffff000) if who == 'c' else (0xfffff000, 5000)
    seq = (seq + isn) & 0xffffffff if seq is not None else 0
    ack = (ack + other) & 0xffffffff if flags & A else 0
    tcp = struct.pack('!HHIIBBHHH', sp, dp, seq, ack, (20 + len(options)) // 4 << 4, flags, window, 0, 0) + options + b'x' * length
    pseudo = bytes([127, 0, 0, a, 127, 0, 0, b, 0, 6]) + struct.pack('!H', len(tcp)) + tcp + b'\0' * (len(tcp) & 1)
    s = sum(struct.unpack('!%dH' % (len(pseudo) // 2), pseudo)); s = (s & 0xffff) + (s >> 16); s = ~((s & 0xffff) + (s >> 16)) & 0xffff
    tcp = tcp[:16] + struct.pack('!H', s) + tcp[18:]
    raw.sendto(struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, bytes([127, 0, 0, a]), bytes([127, 0, 0, b])) + tcp, ('127.0.0.%d' % b, 0))
    counts = [l.split()[0] for l in run('iptables-legacy -vnxL OUTPUT; iptables-legacy -Z OUTPUT').splitlines()[2:]]
    said = [n for n, c in zip(('NEW', 'ESTABLISHED', 'INVALID'), counts) if c != '0']
    print(' ', who, flags, seq, ack, length, window, '->', *said, '|' + show())
def case(name, *segments):
    global port
    port += 1; print(name)
    for s in segments:
        if isinstance(s, str): put(*s.split('='))
        else: send(*s)
scale, sack = b'\x03\x03\x07\0', b'\x04\x02\x01\x01'
hello = (('c', S, 0), ('s', S | A, 0, 1), ('c', A, 1, 1))
case('open and close', *hello, ('c', A | P, 1, 1, 10), ('s', A, 1, 11), ('s', A | P, 1, 11, 20), ('c', A, 11, 21), ('c', F | A, 11, 21), ('s', A, 21, 12), ('s', F | A, 21, 12), ('c', A, 12, 22), ('s', A, 22, 12), ('c', S, 90000))
case('close of the server', *hello, ('s', F | A, 1, 1), ('c', A, 1, 2), ('c', F | A, 1, 2), ('s', A, 2, 2))
case('refused', ('c', S, 0), ('s', R | A, None, 1))
case('SYN again', ('c', S, 0), ('c', S, 0), ('s', S | A, 0, 1), ('s', S | A, 0, 1), ('c', A, 1, 1))
case('outside of the window', *hello, ('c', A, 1, 1, 10), ('s', A, 1, 11), ('c', A, 3000, 1, 10), ('c', A, 2002, 1, 1), ('c', A, 1005, 1, 6), ('c', A, 1006, 1, 6), ('c', A, 11, 500), ('s', A, 1, 5000), ('c', A, 11, 1), ('s', A, -5000, 11, 10), ('s', A, 1, 11, 1000), ('s', A, 1001, 11, 1), ('c', A, 11, -80000))
case('scaled windows', ('c', S, 0, 0, 0, 1000, scale), ('s', S | A, 0, 1, 0, 1000, scale), ('c', A, 1, 1), ('s', A, 1, 1, 1400), ('s', A, 100000, 1, 1400), ('s', A, 200000, 1, 10), ('c', A, 1, 101401))
case('one side scales', ('c', S, 0, 0, 0, 1000, scale), ('s', S | A, 0, 1), ('c', A, 1, 1), ('s', A, 5000, 1, 10))
case('selective acknowledgements', ('c', S, 0, 0, 0, 1000, sack), ('s', S | A, 0, 1, 0, 1000, sack), ('c', A, 1, 1), ('c', A, 101, 1, 100), ('s', A, 1, 1, 0, 1000, b'\x01\x01\x05\x0a' + struct.pack('!II', 5101, 5201)), ('s', A, 1, 1, 0, 1000, b'\x01\x01\x05\x0a' + struct.pack('!II', 5301, 5401)))
case('resets', *hello, ('s', A, 1, 1, 10), ('c', A, 1, 11), ('s', R, 5), ('s', R, 900), ('s', R, 5000), ('s', R, 11), ('c', S, 9))
case('a reset at once', *hello, ('c', R | A, 1, 1))
case('resets of both', *hello, ('c', A, 1, 1, 10), ('s', A, 1, 11), ('s', R | A, 90000, 11), ('c', R | A, 90000, 1), ('s', R | A, 90000, 11))
case('a reset of number 0', *hello, ('s', A, 1, 1, 10), ('c', A, 1, 11), ('s', R, None))
case('flags of no sense', *hello, ('c', 0, 1), ('c', F, 1), ('c', S | F, 1), ('c', 255, 1), ('c', S | R, 1), ('c', P | A | 32, 1, 1), ('c', F | P | 32, 1))
case('no SYN', ('c', F | A, 1, 1), ('s', S | A, 1, 1), ('c', R, 1))
case('in the middle', ('c', A, 500, 600, 10), ('s', A, 600, 510, 10), ('c', A, 510, 610), ('s', A, 99999, 510, 10), ('c', A, 510, 610))
case('not in the middle', 'tcp_loose=0', ('c', A, 500, 600, 10), 'tcp_loose=1')
case('liberal', 'tcp_be_liberal=1', *hello, ('c', A, 90000, 1, 10), ('s', A, 1, 5000), 'tcp_be_liberal=0', ('c', A, 190000, 1, 10))
case('resets are ignored', 'tcp_ignore_invalid_rst=1', *hello, ('s', A, 1, 1, 10), ('c', A, 1, 11), ('s', R, 5), ('s', R, -70000), 'tcp_ignore_invalid_rst=0')
case('a SYN within', *hello, ('c', A, 1, 1, 10), ('s', A, 1, 11), ('c', S, 70000), ('s', A, 1, 11), ('c', R, 11))
case('a SYN within, answered', *hello, ('c', A, 1, 1, 10), ('s', A, 1, 11), ('c', S, 70000), ('s', S | A, 99999, 70001), ('c', A, 70001, 100000))
case('simultaneous open', ('c', S, 0), ('s', S, 0), ('c', S | A, 0, 1), ('s', S | A, 0, 1), ('c', A, 1, 1))
case('simultaneous open, acknowledged', ('c', S, 0), ('s', S, 0), ('c', S | A, 0, 1), ('s', A, 1, 1), ('c', A, 1, 1))
case('challenge of the last acknowledgement', *hello, ('c', F | A, 1, 1), ('s', F | A, 1, 2), ('c', S, 70000), ('s', A, 2, 2), ('c', A, 2, 2))
case('no room', *hello, ('s', A, 1, 1, 0, 0), ('c', A, 1, 1, 1), ('s', A, 1, 1, 0, 0))
case('sent again and again', *hello, ('c', A, 1, 1, 10), ('c', A, 1, 1, 10), ('c', A, 1, 1, 10), ('c', A, 1, 1, 10), ('c', A, 1, 1, 10), ('s', A, 1, 11))
case('times', 'tcp_timeout_syn_sent=40', 'tcp_timeout_established=200', ('c', S, 0), ('s', S | A, 0, 1), ('c', A, 1, 1))
X
python3 /tmp/segments.py
