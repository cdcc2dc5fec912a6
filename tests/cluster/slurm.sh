#!/usr/bin/env bash
# A real Slurm on this machine alone: munge, MariaDB, slurmdbd, slurmctld and two nodes, on loopback, without systemd.
#   tests/cluster/slurm.sh up | down | kill-controller | start-controller | purge      (needs root; up installs by apt)
# Exit code 77: it cannot be had here (no root, no apt, no packages, or the machine has a Slurm of its own).
set -euo pipefail
ROOT=${MOVIESTRIP_SLURM:-/tmp/moviestrip-slurm}
NODES=2
CPUS=4 # of each node, and memory, as jobs ask for it: more than there may be, since those of the test need little
INSTALL_SECONDS=180
export SLURM_CONF=$ROOT/etc/slurm.conf

left_out() {
    echo "no Slurm here: $*" >&2
    exit 77
}

alive() { [[ -s $ROOT/run/$1.pid ]] && kill -0 "$(cat "$ROOT/run/$1.pid")" 2>/dev/null; }

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
    local tenths=$(($1 * 10))
    shift
    for _ in $(seq "$tenths"); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    echo "waited in vain for: $* (logs in $ROOT/log)" >&2
    return 1
}

install_packages() {
    local missing=()
    command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v sbatch >/dev/null || missing+=(slurm-wlm)
    command -v munged >/dev/null || missing+=(munge)
    command -v slurmdbd >/dev/null || missing+=(slurmdbd)
    command -v mariadbd >/dev/null || missing+=(mariadb-server)
    ((${#missing[@]})) || return 0
    command -v apt-get >/dev/null || left_out "apt is missing, and so are ${missing[*]}"
    local policy=/usr/sbin/policy-rc.d # so that the packages start no daemon of their own
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
        # shellcheck disable=SC2064
        trap "rm -f $policy" EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    mkdir -p "$ROOT/log"
    local install="apt-get install -y -q --no-install-recommends ${missing[*]}"
    timeout $INSTALL_SECONDS sh -c "$install || { apt-get update -q && $install; }" >"$ROOT/log/apt.log" 2>&1 ||
        left_out "'$install' failed, or took longer than $INSTALL_SECONDS s ($ROOT/log/apt.log)"
}

write_configuration() {
    local host
    host=$(hostname -s)
    cat >"$ROOT/etc/slurm.conf" <<CONF
ClusterName=moviestrip
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=26817
SlurmdPort=26818
AuthType=auth/munge
AuthInfo=socket=$ROOT/run/munge.socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$ROOT/state
SlurmdSpoolDir=$ROOT/spool.%n
SlurmctldPidFile=$ROOT/run/slurmctld.pid
SlurmdPidFile=$ROOT/run/slurmd.%n.pid
SlurmctldLogFile=$ROOT/log/slurmctld.log
SlurmdLogFile=$ROOT/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=5
MessageTimeout=30
KillWait=5
MinJobAge=3600
GresTypes=gpu
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStoreFlags=job_comment
AccountingStorageType=accounting_storage/slurmdbd
AccountingStoragePass=$ROOT/run/munge.socket
AccountingStorageHost=127.0.0.1
AccountingStoragePort=26819
AccountingStorageTRES=gres/gpu
CONF
    for index in $(seq $NODES); do
        echo "NodeName=n$index NodeHostname=$host NodeAddr=127.0.0.1 Port=$((26900 + index)) CPUs=$CPUS RealMemory=64000 Gres=gpu:1 State=UNKNOWN"
    done >>"$ROOT/etc/slurm.conf"
    echo "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP" >>"$ROOT/etc/slurm.conf"
    for index in $(seq $NODES); do # a GPU by name: the device of one that is not there
        [[ -e $ROOT/run/gpu$index ]] || mknod -m 666 "$ROOT/run/gpu$index" c 1 3
        echo "NodeName=n$index Name=gpu File=$ROOT/run/gpu$index"
    done >"$ROOT/etc/gres.conf"
    cat >"$ROOT/etc/slurmdbd.conf" <<CONF
AuthType=auth/munge
AuthInfo=socket=$ROOT/run/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=26819
SlurmUser=root
LogFile=$ROOT/log/slurmdbd.log
PidFile=$ROOT/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=26306
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_accounting
CONF
    chmod 600 "$ROOT/etc/slurmdbd.conf"
    # The executor plugin drops SLURM_* from the environment of jobs, so that they look where Slurm always looks.
    install -d /etc/slurm
    ln -sfn "$ROOT/etc/slurm.conf" /etc/slurm/slurm.conf
}

start_munge() {
    local key=$ROOT/key/munge.key
    [[ -s $key ]] || (umask 077 && head -c 1024 /dev/urandom >"$key")
    alive munged || munged --force --key-file="$key" --seed-file="$ROOT/key/munge.seed" --log-file="$ROOT/log/munged.log" \
        --socket="$ROOT/run/munge.socket" --pid-file="$ROOT/run/munged.pid"
    wait_for 10 munge -S "$ROOT/run/munge.socket" -n
}

start_database() {
    local data=$ROOT/database
    if ! alive mariadbd; then
        if [[ ! -d $data/mysql ]]; then
            install -d -o mysql -g mysql -m 750 "$data"
            mariadb-install-db --no-defaults --user=mysql --datadir="$data" --skip-test-db \
                --auth-root-authentication-method=socket >"$ROOT/log/mariadb-install.log" 2>&1
        fi
        setsid mariadbd --no-defaults --user=mysql --datadir="$data" --socket="$data/socket" --pid-file="$data/pid" \
            --bind-address=127.0.0.1 --port=26306 --skip-name-resolve --innodb-buffer-pool-size=128M \
            --innodb-lock-wait-timeout=900 >"$ROOT/log/mariadbd.log" 2>&1 </dev/null &
        echo $! >"$ROOT/run/mariadbd.pid"
    fi
    local client=(mariadb --no-defaults -uroot -S "$data/socket" -e)
    wait_for 60 "${client[@]}" "select 1"
    "${client[@]}" "create database if not exists slurm_accounting;
        create user if not exists 'slurm'@'127.0.0.1' identified by 'slurm';
        grant all on slurm_accounting.* to 'slurm'@'127.0.0.1';"
}

start_accounting() {
    alive slurmdbd || slurmdbd
    wait_for 60 sacctmgr -n show cluster
    sacctmgr -n show cluster format=cluster | grep -q moviestrip || sacctmgr -i add cluster moviestrip >/dev/null
    sacctmgr -n show account format=account | grep -q research ||
        sacctmgr -i add account research >/dev/null
    sacctmgr -n show user root withassoc format=account | grep -q research ||
        sacctmgr -i add user root account=research >/dev/null
}

start_controller() {
    alive slurmctld || slurmctld
    wait_for 30 scontrol ping
}

nodes_are_up() {
    scontrol update "nodename=n[1-$NODES]" state=resume >/dev/null 2>&1 || true
    [[ $(sinfo -h -N -o "%N %T" | grep -cE " (idle|mixed|allocated)$") -ge $NODES ]]
}

start_nodes() {
    for index in $(seq $NODES); do
        install -d "$ROOT/spool.n$index"
        alive "slurmd.n$index" || slurmd -N "n$index"
    done
    wait_for 60 nodes_are_up
}

up() {
    [[ $(id -u) == 0 ]] || left_out "it needs root"
    [[ -L /etc/slurm/slurm.conf || ! -e /etc/slurm/slurm.conf ]] || left_out "/etc/slurm/slurm.conf is another Slurm's"
    [[ $(readlink /etc/slurm/slurm.conf || true) =~ ^($ROOT/etc/slurm.conf)?$ ]] ||
        left_out "/etc/slurm/slurm.conf is another Slurm's"
    install_packages
    install -d -m 755 "$ROOT" "$ROOT"/{etc,log,run,state}
    install -d -m 700 "$ROOT/key"
    write_configuration
    start_munge
    start_database
    start_accounting
    start_controller
    start_nodes
    sinfo -N
    echo "export SLURM_CONF=$SLURM_CONF"
}

# stop NAME [SIGNAL]: the process that `up` started under that name, and its children's end.
stop() {
    alive "$1" || {
        rm -f "$ROOT/run/$1.pid"
        return 0
    }
    local pid
    pid=$(cat "$ROOT/run/$1.pid")
    kill "-${2:-TERM}" "$pid"
    for _ in $(seq 150); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -0 "$pid" 2>/dev/null && kill -KILL "$pid"
    rm -f "$ROOT/run/$1.pid"
}

down() {
    if alive slurmctld; then
        scancel --user="$(id -un)" || true
        wait_for 20 sh -c '[ -z "$(squeue -h)" ]' || true
    fi
    for index in $(seq $NODES); do stop "slurmd.n$index"; done
    for name in slurmctld slurmdbd mariadbd munged; do stop $name; done
    if [[ $(readlink /etc/slurm/slurm.conf || true) == "$ROOT/etc/slurm.conf" ]]; then rm /etc/slurm/slurm.conf; fi
}

case ${1:-} in
up) up ;;
down) down ;;
purge) down && rm -rf "$ROOT" ;;
kill-controller) stop slurmctld KILL ;;
start-controller) start_controller ;;
*)
    sed -n '2,4p' "$0" >&2
    exit 2
    ;;
esac
