#!/bin/bash
# Puts the early claim into an image of dracut, which calls this and sets the variables used here.
# shellcheck disable=SC2154

check() {
    # Only where something was set up; without the list the hook would claim nothing anyway.
    [[ -e ${dracutsysrootdir-}/etc/neuron/vfio-devices ]] && return 0
    return 255
}

depends() {
    return 0
}

installkernel() {
    # Those that are built in are no error.
    hostonly='' instmods vfio_pci vfio_iommu_type1
}

install() {
    inst_simple /etc/neuron/vfio-devices
    inst_script /usr/lib/neuron/neuron-vfio-claim
    inst_multiple sh mkdir sleep modprobe
    if dracut_module_included systemd; then
        # Under systemd a hook would come too late: modules-load.d is read beside dracut's hooks.
        inst_simple /usr/lib/systemd/system/neuron-vfio.service \
            "$systemdsystemunitdir/neuron-vfio.service"
        mkdir -p "$initdir/usr/lib/neuron/bin" "$initdir$systemdsystemunitdir/sysinit.target.wants"
        ln -sfn /bin/sh "$initdir/usr/lib/neuron/bin/sh"
        ln -sfn ../neuron-vfio.service \
            "$initdir$systemdsystemunitdir/sysinit.target.wants/neuron-vfio.service"
    else
        inst_hook pre-udev 01 "$moddir/neuron-vfio-pre-udev.sh"
    fi
}
