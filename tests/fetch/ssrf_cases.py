"""Addresses and tricks that have led other fetchers to where they must not go."""

from __future__ import annotations

# Spelled in the URL; `{port}` is that of a server on this machine, which would answer.
SPELLED = (
    # This machine in IPv4
    "http://127.0.0.1:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7F.0x0.0x0.0x1:{port}/",
    "http://0x7f.1:{port}/",
    "http://017700000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0177.0x0.0.01:{port}/",  # mixed
    "http://00000177.0.0.1:{port}/",
    "http://127.0.0x1:{port}/",
    "http://127.127.127.127:{port}/",
    "http://0.0.0.0:{port}/",
    "http://0:{port}/",
    "http://0x0:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST:{port}/",
    "http://localhost.:{port}/",
    # Dots and digits of other scripts
    "http://127\u30020\u30020\u30021:{port}/",
    "http://127\uff0e0\uff0e0\uff0e1:{port}/",
    "http://127\uff610\uff610\uff611:{port}/",
    "http://\uff11\uff12\uff17.0.0.1:{port}/",
    "http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460:{port}/",
    "http://\uff4c\u24de\u24b8alhost:{port}/",
    # This machine in IPv6
    "http://[::1]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[::]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/",
    "http://[::127.0.0.1]:{port}/",  # IPv4-compatible
    "http://[::ffff:0:127.0.0.1]:{port}/",  # IPv4-translated
    "http://[64:ff9b::7f00:1]:{port}/",  # NAT64
    "http://[64:ff9b:1::7f00:1]:{port}/",  # NAT64 of a network's own
    "http://[2002:7f00:1::]:{port}/",  # 6to4
    "http://[2001:0:7f00:1::]:{port}/",  # Teredo
    "http://[fe80::1%25lo]:{port}/",  # with a zone
    "http://[fe80::1%lo]:{port}/",
    "http://[::1%25lo]:{port}/",
)
# Spelled as well, and nothing to do with this machine.
ELSEWHERE = (
    # Private networks
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.168.0.1/",
    "https://3232235521/",  # 192.168.0.1
    "https://0300.0250.0.1/",
    "https://100.64.0.1/",
    "https://198.18.0.1/",
    "https://192.0.2.1/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://[fc00::1]/",
    "https://[fd12:3456:789a::1]/",
    "https://[fe80::1]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[64:ff9b::10.0.0.1]/",
    "https://[64:ff9b::a00:1]/",
    "https://[2002:a00:1::1]/",
    # Metadata of clouds
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "http://2852039166/",
    "http://0xA9FEA9FE/",
    "http://0251.0376.0251.0376/",
    "http://169.254.43518/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[fd00:ec2::254]/",
    "http://[fe80::a9fe:a9fe]/",  # OpenStack
    "http://169.254.170.2/v2/credentials",  # ECS
    "http://169.254.170.23/v1/credentials",  # EKS
    "http://100.100.100.200/latest/meta-data/",  # Alibaba
    "http://192.0.0.192/opc/v2/",  # Oracle
    "http://168.63.129.16/",  # Azure
    "http://169.254.0.23/",  # Tencent
)
# Refused by their form: another reader would take another host for theirs.
MALFORMED = (
    "http://user@a.example/",
    "http://user:password@a.example/",
    "http://a.example@127.0.0.1/",
    "http://127.0.0.1\\@a.example/",
    "http://a.example\\@127.0.0.1/",
    "http://a.example\\.127.0.0.1/",
    "http:\\\\127.0.0.1\\",
    "http:/127.0.0.1/",
    "http:127.0.0.1",
    "http:///127.0.0.1/",
    "//127.0.0.1/",
    "http://%31%32%37.0.0.1/",
    "http://127.0.0.1%2f@a.example/",
    "http://127.0.0.1%00.a.example/",
    "http://a.example\x00.127.0.0.1/",
    "http://a.example/\r\nhost: 127.0.0.1",
    "http://a.example\t.127.0.0.1/",
    "http://a.example 127.0.0.1/",
    "http://[::1/",
    "http://[::1]a.example/",
    "http://[127.0.0.1]/",
    "http://[v1.fe80::a]/",
    "http://a..example/",
    "http://-a.example/",
    "http://a.example:80:80/",
    "http://a.example:99999/",
    "http://a.example:-1/",
    "http://a.example:22/",
    "http://a.example:6379/",
    "https://a.example:8443/",
    "http://a.example:443/",
    "https://a.example:80/",
    "ftp://a.example/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "dict://127.0.0.1:11211/stats",
    "ldap://127.0.0.1/",
    "data:text/html,x",
    "javascript:alert(1)",
    "jar:http://127.0.0.1!/",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "",
    " http://a.example/",
    "http://" + "a" * 3000 + ".example/",
)
# Names, and what a resolver says of them.
NAMES = {
    "metadata.google.internal": ["169.254.169.254"],
    "metadata": ["169.254.169.254"],
    "instance-data.ec2.internal": ["169.254.169.254"],
    "metadata.azure.internal": ["168.63.129.16"],
    "metadata.tencentyun.com": ["169.254.0.23"],
    "host.docker.internal": ["192.168.65.2"],
    "kubernetes.default.svc.cluster.local": ["10.96.0.1"],
    "127.0.0.1.nip.example": ["127.0.0.1"],
    "localtest.example": ["127.0.0.1"],
    "six.example": ["::1"],
    "mapped.example": ["::ffff:10.0.0.1"],
    "nat64.example": ["64:ff9b::a9fe:a9fe"],
    "zone.example": ["fe80::1%eth0"],
    "zoned-public.example": ["2606:4700::1111%eth0"],
    "one-of-many.example": ["93.184.216.34", "1.1.1.1", "10.0.0.1"],
    "first-of-many.example": ["10.0.0.1", "93.184.216.34"],
    "six-and-four.example": ["2606:4700::1111", "127.0.0.1"],
    "rubbish.example": ["not an address"],
}
# Where a redirect of a public server leads.
REDIRECTS = (
    "http://127.0.0.1/",
    "http://2130706433/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://169.254.169.254/latest/meta-data/",
    "//169.254.169.254/",
    "http://metadata.google.internal/",
    "http://one-of-many.example/",
    "http://a.example:22/",
    "http://user@a.example/",
    "http://a.example\\@127.0.0.1/",
    "http://127\u30020\u30020\u30021/",
    "file:///etc/passwd",
    "gopher://127.0.0.1/",
    "https://[",
    "/p",  # for ever
)
