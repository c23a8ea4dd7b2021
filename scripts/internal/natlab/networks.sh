#!/usr/bin/env bash
# The networks of scripts/nat-lab, which sources this file and has $id, $dir, fail, on and
# begin_on. The internet is the machine "net". It is the hub hub.example too.
# shellcheck disable=SC2154

four=(open fw fullcone restricted portrestricted linux symmetric udpblocked tcp443 cgnat noproxy proxy proxyauth socks)
six=(v6only v6fw nat64)
kinds=("${four[@]}" "${six[@]}")
nat64=2001:db8:64::/96 # the prefix of the translator

# needs KIND fails if the kind is unknown, and returns 1 if the machine lacks what it takes.
needs() {
  [[ " ${kinds[*]} " == *" $1 "* ]] || fail "unknown kind of network: $1"
  [[ $1 != nat64 ]] || command -v tayga >/dev/null || return 1
}

# end_hosts ends the machines HOST… and what runs on them.
end_hosts() {
  local pids=()
  mapfile -t pids < <(for host in "$@"; do ip netns pids "$id-$host" 2>/dev/null || true; done)
  ((${#pids[@]} == 0)) || kill -KILL "${pids[@]}" 2>/dev/null || true
  for host in "$@"; do
    ip netns del "$id-$host" 2>/dev/null || true
    rm -rf "/etc/netns/$id-$host"
  done
}
end_networks() { end_hosts alice bob routera routerb carriera carrierb; }

# rules KIND prints the rules of a router, whose interfaces are wan and lan.
rules() {
  local nat='oifname "wan" masquerade' in=drop in6=drop out=accept map="" filter=""
  case $1 in
    open) nat="" in=accept ;;
    fw) nat="" ;;
    fullcone) map=1 filter='ct status dnat accept' ;;
    restricted) map=1 filter='ip saddr . udp dport @seen accept' ;;
    portrestricted) map=1 ;;
    linux | cgnat | noproxy | v6fw | nat64) ;;
    v6only) in6=accept ;;
    symmetric) nat='oifname "wan" masquerade fully-random' ;;
    udpblocked) out='meta l4proto udp drop; accept' ;;
    tcp443) out='tcp dport != { 80, 443 } drop; meta l4proto != tcp drop; accept' ;;
    proxy | proxyauth | socks) out=drop ;;
    *) fail "unknown kind of network: $1" ;;
  esac
  cat <<END
table ip nat {
  map ports { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 120s; }
  set seen { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 120s; }
  chain pre { type nat hook prerouting priority dstnat;
    ${map:+iifname "wan" meta l4proto udp dnat ip to udp dport map @ports;}
  }
  chain post { type nat hook postrouting priority srcnat; $nat; }
  chain input { type filter hook input priority 0;
    iifname "wan" ct state != { established, related } drop; }
  chain track {
    ${map:+meta l4proto udp update @ports { udp sport : ip saddr . udp sport \}; meta l4proto udp update @seen { ip daddr . udp sport \};}
  }
  chain out { jump track; $out; }
  chain forward { type filter hook forward priority 0;
    iifname { "lan", "nat64" } goto out
    ct state { established, related } accept
    $filter
    $in
  }
}
table ip6 nat {
  chain forward { type filter hook forward priority 0;
    iifname "lan" accept
    ct state { established, related } accept
    meta l4proto ipv6-icmp accept
    $in6
  }
}
END
}

# machine NAME makes one whose IPv6 addresses can be used at once: nobody has them twice.
machine() {
  ip netns add "$id-$1"
  ip netns exec "$id-$1" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
}

# router NAME KIND BEHIND BRIDGE PORT makes a router whose interface wan is in the network of
# the bridge of the machine BEHIND.
router() {
  machine "$1"
  ip link add wan netns "$id-$1" type veth peer name "$5" netns "$id-$3"
  ip -n "$id-$3" link set "$5" master "$4" up
  ip -n "$id-$1" link add lan type bridge
  for dev in lo wan lan; do ip -n "$id-$1" link set "$dev" up; done
  ip netns exec "$id-$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
  rules "$2" | ip netns exec "$id-$1" nft -f -
  hosts "$1" 203.0.113.1 2001:db8:ffff::1
}

# hosts MACHINE ADDR… tells a machine the addresses of the hub.
hosts() {
  mkdir -p "/etc/netns/$id-$1"
  printf '%s hub.example\n' 127.0.0.1 "${@:2}" | sed '1s/hub.example/localhost/' >"/etc/netns/$id-$1/hosts"
}

# network LETTER HOST KIND N makes router LETTER and the machine HOST behind it, whose
# environment is then $dir/HOST.env.
network() {
  local r=router$1 c=carrier$1 host=$2 kind=$3 n=$4 port=$1$runs
  local wan=203.0.113.$((10 * n)) lan=192.168.$n wan6=2001:db8:ffff::$((10 * n)) lan6=2001:db8:$n
  [[ $kind != open && $kind != fw ]] || lan=198.51.100
  [[ $kind != open && $kind != fw || $n == 1 ]] || lan=192.0.2
  rm -f "$dir/$host.env" "$dir/$host/config.toml"
  if [[ $kind == cgnat ]]; then
    router "$c" portrestricted net br0 "$port"
    ip -n "$id-$c" addr add "$wan/24" dev wan
    ip -n "$id-$c" addr add "100.64.$n.1/24" dev lan
    ip -n "$id-$c" route add default via 203.0.113.1
    router "$r" "$kind" "$c" lan home
    ip -n "$id-$r" addr add "100.64.$n.2/24" dev wan
    ip -n "$id-$r" route add default via "100.64.$n.1"
  else
    router "$r" "$kind" net br0 "$port"
    ip -n "$id-$r" addr add "$wan/24" dev wan
    ip -n "$id-$r" route add default via 203.0.113.1
  fi
  machine "$host"
  ip link add eth0 netns "$id-$host" type veth peer name "$host" netns "$id-$r"
  ip -n "$id-$r" link set "$host" master lan up
  for dev in lo eth0; do ip -n "$id-$host" link set "$dev" up; done
  if [[ " ${six[*]} " == *" $kind "* ]]; then
    ip -n "$id-$r" addr add "$wan6/64" dev wan nodad
    ip -n "$id-$r" addr add "$lan6::1/64" dev lan nodad
    ip -n "$id-$r" -6 route add default via 2001:db8:ffff::1
    ip -n "$id-$host" addr add "$lan6::2/64" dev eth0 nodad
    ip -n "$id-$host" -6 route add default via "$lan6::1"
    ip -n "$id-net" -6 route replace "$lan6::/64" via "$wan6"
    hosts "$host" 2001:db8:ffff::1
  else
    ip -n "$id-$r" addr add "$lan.1/24" dev lan
    ip -n "$id-$host" addr add "$lan.2/24" dev eth0
    ip -n "$id-$host" route add default via "$lan.1"
    [[ $kind != open && $kind != fw ]] || ip -n "$id-net" route replace "$lan.0/24" via "$wan"
    hosts "$host" 203.0.113.1
  fi
  beside "$kind" "$r" "$host" "$n"
}

# beside KIND ROUTER HOST N starts what a network has beside its router.
beside() {
  local r=$2 host=$3 at=192.168.$4.1
  case $1 in
    noproxy) printf '%s\n' HTTPS_PROXY=http://192.0.2.9:3128 NO_PROXY=hub.example >"$dir/$host.env" ;;
    proxy)
      aid "$r" http "" "$at:3128"
      echo "HTTPS_PROXY=http://$at:3128" >"$dir/$host.env"
      ;;
    proxyauth)
      aid "$r" http lab:s3cret "$at:3128"
      echo "HTTPS_PROXY=http://lab:s3cret@$at:3128" >"$dir/$host.env"
      ;;
    socks)
      aid "$r" socks lab:s3cret "$at:1080"
      printf '[reach]\nproxy = "socks5://lab:s3cret@%s:1080"\n' "$at" >"$dir/$host/config.toml"
      ;;
    nat64) translator "$r" "$host" "$4" ;;
  esac
}

# aid ROUTER WHAT ARGUMENT ADDR runs a proxy or a name server on a router.
aid() {
  : >"$dir/$1.out"
  begin_on "$1" natlab "${@:2}" >"$dir/$1.out" 2>"$dir/$1.err" &
  disown
  await '^ready$' "$dir/$1.out"
}

# translator ROUTER HOST N gives a network a translator to IPv4, and its name server. The
# hub has no IPv6 there.
translator() {
  cat >"$dir/$1.conf" <<END
tun-device nat64
ipv4-addr 192.168.$3.254
ipv6-addr 2001:db8:64:ffff::$3
prefix $nat64
dynamic-pool 192.168.$3.0/24
data-dir $dir/$1
END
  mkdir -p "$dir/$1"
  ip netns exec "$id-$1" tayga -c "$dir/$1.conf" --mktun >/dev/null 2>&1
  ip -n "$id-$1" link set nat64 up
  ip -n "$id-$1" route replace "192.168.$3.0/24" dev nat64
  ip -n "$id-$1" -6 route replace "$nat64" dev nat64
  ip netns exec "$id-$1" tayga -c "$dir/$1.conf" --nodetach >"$dir/tayga.err" 2>&1 &
  disown
  hosts "$1" 203.0.113.1
  hosts "$2"
  echo "nameserver 2001:db8:$3::1" >"/etc/netns/$id-$2/resolv.conf"
  aid "$1" dns64 "$nat64" "[2001:db8:$3::1]:53"
}

# expected A B prints what the last path must be: direct, punched over either transport,
# punched TCP, a relay, or a relay through a proxy.
expected() {
  local hard='^(symmetric|udpblocked|tcp443)$' a=${1/noproxy/linux} b=${2/noproxy/linux}
  [[ $a != cgnat ]] || a=portrestricted
  [[ $b != cgnat ]] || b=portrestricted
  case $a:$b in
    proxy*:* | socks:*) echo 'relay wss hub.example via proxy' ;;
    *:proxy* | *:socks) echo relay ;;
    v6*:v6* | v6*:nat64 | nat64:v6* | nat64:nat64) echo '(direct|punched)' ;;
    v6*:* | nat64:* | *:v6* | *:nat64) echo relay ;;
    tcp443:* | *:tcp443) echo relay ;;
    *:open) echo '(direct|punched)' ;;
    udpblocked:symmetric | symmetric:udpblocked) echo relay ;;
    udpblocked:* | *:udpblocked) echo 'punched tcp4|direct tcp4' ;;
    open:* | *:fullcone | fullcone:* | *:restricted | restricted:*) echo '(direct|punched)' ;;
    *) [[ $a =~ $hard || $b =~ $hard ]] && echo relay || echo '(direct|punched)' ;;
  esac
}
