#!/usr/bin/env bash
# shellcheck disable=SC2034 # mkarchiso reads these

_built_at=@${SOURCE_DATE_EPOCH:-$(date +%s)}

iso_name="neuronos"
iso_label="NEURON_$(date --utc --date="$_built_at" +%Y%m)"
iso_publisher="NeuronOS"
iso_application="NeuronOS installer"
iso_version="$(date --utc --date="$_built_at" +%Y.%m.%d)"
install_dir="neuron"
buildmodes=('iso')
bootmodes=('bios.syslinux'
           'uefi.systemd-boot')
pacman_conf="pacman.conf"
airootfs_image_type="squashfs"
airootfs_image_tool_options=('-comp' 'zstd' '-Xcompression-level' '15' '-b' '1M')
file_permissions=()
