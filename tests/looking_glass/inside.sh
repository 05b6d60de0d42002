#!/bin/sh
# Runs in the root of another suite (see `enter`): systemd makes users' groups and the memory from our
# files, and the real client is started by everybody in turn. What came of it stands behind lines that
# begin with `==`.
memory=/dev/shm/looking-glass

# as WHO PROGRAM...: in the background only, where it becomes that program.
as() {
    who=$1
    shift
    exec setpriv --reuid "$who" --regid "$who" --init-groups -- env HOME="/home/$who" DISPLAY=:7 "$@"
}

# The lines about the memory of every client that has it mapped.
mapped() {
    for maps in /proc/[0-9]*/maps; do
        case $(cat "${maps%/maps}/comm" 2>/dev/null) in
            looking-glass-c*) grep " $memory\$" "$maps" 2>/dev/null || true ;;
        esac
    done
}

# soon COMMAND...: waits until it succeeds, two minutes long.
soon() {
    tenths=0
    until "$@"; do
        [ $tenths -lt 1200 ] || { echo "never so: $*" >&2; exit 1; }
        sleep 0.1
        tenths=$((tenths + 1))
    done
}

# is_told LOG PID: whether the client said that it looks into the memory, or ended.
is_told() {
    grep -q 'host application' "$1" || ! kill -0 "$2" 2>/dev/null
}

# As QEMU does, which runs as a user of its own in the group kvm.
qemu_takes() {
    setpriv --reuid libvirt-qemu --regid kvm --clear-groups -- truncate -s "$1" "$memory"
}

# client NAME WHO: one who starts the client.
client() {
    echo "== $1"
    as "$2" looking-glass-client spice:enable=no >"/tmp/$1.log" 2>&1 &
    pid=$!
    soon is_told "/tmp/$1.log" "$pid"
    mapped
    kill "$pid" 2>/dev/null || true
    wait "$pid" || echo "code $?"
    cat "/tmp/$1.log"
}

# status NAME: what our program says.
status() {
    echo "== $1"
    /mnt/neuron-provisioner looking-glass status --json || echo "code $?"
}

for who in vera noor kim; do
    install -d -o "$who" -g "$who" "/home/$who"
done
Xvfb :7 -ac -nolisten tcp -screen 0 1280x800x24 >/tmp/xvfb.log 2>&1 &
soon [ -e /tmp/.X11-unix/X7 ]

systemd-sysusers /etc/sysusers.d/neuron-passthrough.conf
echo '== groups'
for who in vera noor kim; do id -nG "$who"; done
systemd-tmpfiles --create /etc/tmpfiles.d/10-looking-glass.conf
echo '== memory'
stat -c '%U %G %a %s' "$memory"

client empty vera
qemu_takes 64M
client owner vera
client group noor
client other kim
client root root
status right
truncate -s 32M "$memory"
client half vera
status wrong
# What an apply has done about a memory of another size.
rm -f -- "$memory"
systemd-tmpfiles --create /etc/tmpfiles.d/10-looking-glass.conf
qemu_takes 64M
client anew vera

echo '== verb'
cp /bin/sh /tmp/qemu-system-x86_64
as vera /mnt/neuron-provisioner looking-glass client -- spice:enable=no >/tmp/verb.log 2>&1 &
verb=$!
soon grep -q 'windows11 does not run' /tmp/verb.log
/tmp/qemu-system-x86_64 -c 'while :; do sleep 0.1; done' qemu -name guest=windows11 &
qemu=$!
soon is_told /tmp/verb.log "$verb"
mapped
kill "$qemu"
wait "$verb" && echo 'code 0'
cat /tmp/verb.log
echo '== afterwards'
mapped
