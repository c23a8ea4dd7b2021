#!/usr/bin/env bash
# scripts/nat-lab survive: a pipe in each direction and a terminal live through all that can
# happen to their paths. scripts/nat-lab sources this file.
# shellcheck disable=SC2154

blocks=${blocks-2048} # of a pipe, of 1 MiB

# count PATTERN prints how many events match, and wait_more PATTERN N waits until these are
# more than N, for 90 s: the time after which a path that has fallen often is tried again is
# 60 s.
count() { grep -c -- "$1" "$dir/events" || true; }
wait_more() {
  for _ in $(seq 1800); do
    (($(count "$1") <= $2)) || return 0
    sleep 0.05
  done
  fail "$step: no event $1 after 90 s"
}

to_relay='"event":"path".*"to":"relay' to_direct='"event":"path".*"to":"\(punched\|direct\|mapped\)'

# step NAME CMD… does something to the paths, and step_to PATTERN NAME CMD… waits until an event
# has come of it. Both print the longest gap at the receiver until then.
step_to() {
  local pattern=$1 before begun
  step=$2
  before=$(count "$1")
  begun=$(now)
  "${@:3}"
  wait_more "$pattern" "$before"
  say "$what: $step: after $(since "$begun") ms; the longest gap $(gap) ms"
}

# gap prints the longest gap at the receiver since it was called before, which is now over.
gap() {
  sleep 1
  tail -n +"$(($(cat "$dir/seen" 2>/dev/null || echo 0) + 1))" "$dir/gaps" | sort -n | tail -n 1 | grep . || echo "below 100"
  wc -l <"$dir/gaps" >"$dir/seen"
}

renumber() {
  ip -n "$id-routera" addr add 203.0.113.11/24 dev wan
  ip -n "$id-routera" addr del 203.0.113.10/24 dev wan
  ip -n "$id-routera" addr add 203.0.113.11/24 dev wan 2>/dev/null || true
  ip -n "$id-routera" route replace default via 203.0.113.1
}

# flush makes the router forget its mappings, and the firewall take no connection that has
# begun before.
flush() {
  ip netns exec "$id-routera" sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0
  ip netns exec "$id-routera" "$dir/bin/natlab" flush - -
}

begin_relay() {
  : >"$dir/relay.out"
  begin_on net env MESH_HOME="$dir/relay" mesh-hub relay -v --hub "$hub_url" --listen :8443 --url wss://hub.example:8443 >"$dir/relay.out" 2>>"$dir/relay.err" &
  relay=$!
  disown
  await 'wss://hub.example:8443' "$dir/relay.out"
}

end_one() {
  kill -KILL "$1"
  while kill -0 "$1" 2>/dev/null; do sleep 0.05; done
}

restart_relay() {
  end_one "$relay"
  sleep 2
  begin_relay
}

restart_hub() {
  end_one "$hub"
  sleep 2
  begin_hub --relay "$relay_url"
}

# happen does it all, to what has begun to send.
happen() {
  wait_more '"\(path\|to\)":"\(punched\|direct\)' 0
  say "$what: the first direct path; the longest gap $(gap) ms"
  step_to "$to_relay" "the direct path is cut" cut
  step_to '"event":"resumed"' "the relay is killed, and begins again after 2 s" restart_relay
  step_to "$to_direct" "the direct path is back" heal
  step_to "$to_relay" "the network gets another address" renumber
  step_to "$to_direct" "a direct path from there" true
  step="the hub is killed, and begins again after 2 s"
  restart_hub
  say "$what: $step; the longest gap $(gap) ms"
  step="the router forgets its mappings"
  flush
  sleep 5
  say "$what: $step; the longest gap $(gap) ms"
  step_to "$to_relay" "the direct path is cut" cut
  step_to "$to_direct" "the direct path is back" heal
}

# begin_networks sets up both ends.
begin_networks() {
  network a alice linux 1
  network b bob linux 2
  rm -f "$dir/stop" "$dir/gaps" "$dir/seen"
  : >"$dir/events"
  : >"$dir/listen.err"
}

finish() {
  end_networks
  runs=$((runs + 1))
}

# A pipe has a fixed size. It is slow until all has happened, and fast then.
cat >"$dir/produce" <<END
#!/usr/bin/env bash
for n in \$(seq $blocks); do
  head -c 1048576 /dev/urandom
  if [[ ! -e $dir/stop ]]; then
    sleep 0.08
    echo \$n >$dir/slow
  fi
done | tee >(sha256sum >$dir/sent)
END
chmod +x "$dir/produce"

# whole fails unless what has come out is what has gone in, of the right size.
whole() {
  await . "$dir/sent"
  read -r sent _ <"$dir/sent"
  [[ $(<"$dir/got") == "$sent $((blocks * 1048576))" ]] || fail "$what: got $(<"$dir/got"), want $(<"$dir/sent")"
  (($(<"$dir/slow") < blocks)) || fail "$what: it was sent before all had happened"
  say "$what: $((blocks * 1048576)) bytes, the digest right"
}

upload() {
  what=upload
  begin_networks
  begin_on bob mesh-listen -v --as pipe -- natlab meter "$dir/gaps" - >"$dir/listen.out" 2>"$dir/listen.err" &
  listener=$!
  await 'this is pipe$' "$dir/listen.err"
  "$dir/produce" | on alice mesh-cat -v --trust hub --events "$dir/events" pipe >"$dir/got" 2>"$dir/cat.err" &
  cat=$!
  happen
  touch "$dir/stop"
  wait "$cat" || fail "$what: mesh-cat ended with $?"
  whole
  kill -KILL "$listener"
  wait "$listener" 2>/dev/null || true
  finish
}

download() {
  what=download
  begin_networks
  begin_on bob mesh-listen -v --as pipe -- "$dir/produce" >"$dir/listen.out" 2>"$dir/listen.err" &
  listener=$!
  await 'this is pipe$' "$dir/listen.err"
  rm -f "$dir/status"
  {
    on alice mesh-cat -v --trust hub --events "$dir/events" pipe </dev/null 2>"$dir/cat.err" || echo $? >"$dir/status"
  } | natlab_here meter "$dir/gaps" - >"$dir/got" &
  cat=$!
  happen
  touch "$dir/stop"
  wait "$cat"
  [[ ! -e $dir/status ]] || fail "$what: mesh-cat ended with $(<"$dir/status")"
  whole
  kill -KILL "$listener"
  wait "$listener" 2>/dev/null || true
  finish
}
natlab_here() { "$dir/bin/natlab" "$@"; }

terminal() {
  what=terminal
  begin_networks
  cat >"$dir/lines" <<END
n=0
while [ ! -e $dir/stop ]; do
  n=\$((n + 1))
  echo "line \$n"
  sleep 0.1
done
echo "\$n lines"
END
  begin_on bob mesh-tty --share --headless --as screen -- sh "$dir/lines" >"$dir/tty.out" 2>"$dir/tty.err" &
  await 'this is screen$' "$dir/tty.err"
  rm -f "$dir/status"
  {
    on alice mesh-tty -v --backlog --trust hub --events "$dir/events" screen 2>"$dir/view.err" || echo $? >"$dir/status"
  } | tee "$dir/view.out" | natlab_here meter "$dir/gaps" - >"$dir/got" &
  view=$!
  happen
  touch "$dir/stop"
  wait "$view"
  [[ ! -e $dir/status ]] || fail "$what: mesh-tty ended with $(<"$dir/status")"
  lines=$(tr -d '\r' <"$dir/view.out" | sed -n 's/^\([0-9]*\) lines$/\1/p')
  [[ -n $lines && $(tr -d '\r' <"$dir/view.out" | grep -o 'line [0-9]*') == "$(seq -f 'line %g' "$lines")" ]] || fail "$what: the viewer saw other lines"
  say "$what: $lines lines, each once"
  finish
}

# The hub begins again, with a relay that is a process of its own.
hub_url=$(sed -n 's/^mesh-hub join //p' "$dir/hub.out" | head -n 1)
mkdir "$dir/relay"
begin_relay
relay_url=$(grep -o 'wss://hub.example:8443#[a-z0-9]*' "$dir/relay.out" | head -n 1)
end_one "$hub"
begin_hub --relay "$relay_url"
upload
download
terminal
