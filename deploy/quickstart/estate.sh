# Part of ./quickstart: the controller and the agent of this machine. Sourced; uses root, state, say, fail.
# State: em/ agent/ vault/ of the programs; log/; NAME.pid; ports; protected (a line "WORKLOAD<tab>DIRECTORY" each);
# service/WORKLOAD/ of the demonstration's service; sample/; kept (see demonstration.sh).

quoted() { printf '%q' "$1"; }
state_option() { [ "$state" = "${HOME:-}/.local/state/ember" ] || printf ' --state %q' "$state"; }

# One quickstart at a time per state directory.
take_turn() {
  exec 9>"$state/lock" || fail 1 "cannot write in $state" "next: choose another with --state DIR"
  flock -n 9 || fail 1 "another quickstart works in $state" "next: wait for it"
}

# In clock ticks since boot (proc(5), stat, field 22): tells a process from a later one with the same number.
start_time() {
  local line
  line=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  line=${line##*) }
  set -- $line
  printf '%s' "${20}"
}

# Prints the pid of the running program NAME; fails when there is none.
running() {
  local pid started
  read -r pid started 2>/dev/null <"$state/$1.pid" || return 1
  [ "$(start_time "$pid")" = "$started" ] && printf '%s' "$pid"
}

# start NAME COMMAND...: in a session of its own, so that a Ctrl-C here does not reach it.
start() {
  local name=$1 pid
  shift
  setsid "$@" >>"$state/log/$name.log" 2>&1 </dev/null 8>&- 9>&- &
  pid=$!
  disown "$pid"
  printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$state/$name.pid"
}

stop() {
  local pid deadline=$((SECONDS + 15))
  if pid=$(running "$1"); then
    kill -TERM "$pid" 2>/dev/null || true
    while running "$1" >/dev/null && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.1; done
    ! running "$1" >/dev/null || kill -KILL "$pid" 2>/dev/null || true
    say "stopped the $2 (pid $pid)"
  fi
  rm -f "$state/$1.pid"
}

# wait_until SECONDS COMMAND...: fails when it did not succeed in time.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.2
  done
}

prepare_programs() {
  if [ -z "${EMBER_BIN:-}" ]; then
    "$root/deploy/install-dependencies.sh" build
    export EMBER_BUILD=${EMBER_BUILD:-$root/build}
    # A checkout that belongs to somebody else is only read.
    mkdir -p "$EMBER_BUILD" 2>/dev/null && [ -w "$EMBER_BUILD" ] || EMBER_BUILD=$state/build
    say "building in $EMBER_BUILD (the first time takes minutes)"
    "$root/deploy/build.sh" ember ember-agent ember-controller
    EMBER_BIN=$EMBER_BUILD/bin
  fi
  EMBER_BIN=$(realpath -- "$EMBER_BIN")
  [ -x "$EMBER_BIN/ember" ] || fail 1 "there is no program ember in $EMBER_BIN" "next: unset EMBER_BIN"
  printf '%s\n' "$EMBER_BIN" >"$state/programs"
}

ember() { "$EMBER_BIN/ember" --em "127.0.0.1:$em_port" --identity "$state/em/admin" "$@"; }

port_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
free_port() {
  local port
  for ((port = $1; port < $1 + 1000; port += 2)); do
    if port_free "$port"; then printf '%s' "$port"; return; fi
  done
  fail 1 "no free port from $1 on"
}

# The node's name: this machine's, as far as the estate file allows it.
node_name() {
  local name
  name=$(uname -n)
  name=$(printf '%s' "${name%%.*}" | tr -c 'A-Za-z0-9_-' '-')
  case $name in [A-Za-z0-9]*) printf '%.60s' "$name" ;; *) printf local ;; esac
}

tail_of_log() { printf 'the last lines of %s:\n' "$state/log/$1.log"; tail -n 5 "$state/log/$1.log" 2>/dev/null || true; }

start_estate() {
  em_port= agent_port= node=
  if [ -e "$state/ports" ]; then read -r em_port agent_port node <"$state/ports"; fi
  if ! running em >/dev/null && { [ -z "$em_port" ] || ! port_free "$em_port"; }; then em_port=$(free_port 7443); fi
  if ! running agent >/dev/null && { [ -z "$agent_port" ] || ! port_free "$agent_port"; }; then agent_port=$(free_port 7444); fi
  node=${node:-$(node_name)}
  printf '%s %s %s\n' "$em_port" "$agent_port" "$node" >"$state/ports"
  if [ ! -e "$state/em/admin/cert.pem" ]; then
    "$EMBER_BIN/ember-controller" --state-dir "$state/em" --listen "127.0.0.1:$em_port" init --no-install >"$state/log/init.log" 2>&1 ||
      fail 1 "the estate could not be created" "$(cat "$state/log/init.log")"
    say "created an estate; its recovery kit: $state/em/recovery-kit.txt"
  fi
  if ! running em >/dev/null; then
    start em "$EMBER_BIN/ember-controller" --state-dir "$state/em" --listen "127.0.0.1:$em_port"
    wait_until 30 ember status || fail 1 "the controller does not answer" "$(tail_of_log em)"
  fi
  say "the controller runs on 127.0.0.1:$em_port (pid $(running em))"
  settle
  if [ ! -e "$state/agent/identity/cert.pem" ]; then
    local token
    token=$(ember node token "$node" --em-address "127.0.0.1:$em_port" 2>/dev/null) || fail 1 "no join token for $node"
    "$EMBER_BIN/ember-agent" join "$token" --state-dir "$state/agent" >"$state/log/join.log" 2>&1 ||
      fail 1 "the agent could not join" "$(cat "$state/log/join.log")"
  fi
  if ! running agent >/dev/null; then
    start agent "$EMBER_BIN/ember-agent" --state-dir "$state/agent" --name "$node" --em "127.0.0.1:$em_port" --listen "127.0.0.1:$agent_port"
  fi
  wait_until 60 node_alive || fail 1 "the agent does not reach the controller" "$(tail_of_log agent)"
  say "the agent of node $node runs on 127.0.0.1:$agent_port (pid $(running agent))"
}

node_alive() { ember node show "$node" --json | grep '"state": "ALIVE"'; }

stop_estate() {
  local programs=
  [ ! -e "$state/programs" ] || read -r programs <"$state/programs"
  stop agent agent
  if [ -d "$state/agent" ] && [ -x "$programs/ember-agent" ]; then
    "$programs/ember-agent" down --state-dir "$state/agent" || fail 1 "the services of the workloads could not be stopped"
  elif [ -d "$state/agent" ]; then
    fail 1 "the services of the workloads could not be stopped" "there is no $programs/ember-agent any more" "next: ./quickstart$(state_option) builds it again"
  fi
  stop em controller
}
