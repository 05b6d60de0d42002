# SPDX-License-Identifier: MIT
"""Stands in for the stock module partition and for the page of vfio-setup, which need a user.

Makes partitions and file systems, and leaves in global storage what the pages would leave there.
"""

import subprocess

import libcalamares


def pretty_name():
    return "Stand-in for partition"


def uuid_of(device):
    found = subprocess.run(["blkid", "-o", "value", "-s", "UUID", device], check=True, capture_output=True, text=True)
    return found.stdout.strip()


def run():
    settings = libcalamares.job.configuration
    disk = settings["disk"]
    is_efi = settings["firmware"] == "efi"
    first = ["--new=1:0:+500M", "--typecode=1:ef00"] if is_efi else ["--new=1:0:+2M", "--typecode=1:ef02"]
    commands = [
        ["sgdisk", "--zap-all", *first, "--new=2:0:0", "--typecode=2:8304", disk],
        ["udevadm", "settle"],
        ["mkfs.ext4", "-q", "-F", disk + "-part2"],
    ]
    if is_efi:
        commands.append(["mkfs.vfat", "-F", "32", disk + "-part1"])
    commands.append(["udevadm", "settle"])
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            return (" ".join(command), done.stdout + done.stderr)
    root = {"device": disk + "-part2", "fs": "ext4", "fsName": "ext4", "mountPoint": "/", "claimed": True}
    partitions = [dict(root, uuid=uuid_of(root["device"]))]
    if is_efi:
        esp = {"device": disk + "-part1", "fs": "fat32", "fsName": "fat32", "mountPoint": settings["esp"], "claimed": True}
        partitions.append(dict(esp, uuid=uuid_of(esp["device"])))
        libcalamares.globalstorage.insert("efiSystemPartition", settings["esp"])
    else:
        libcalamares.globalstorage.insert("bootLoader", {"installPath": settings["device"]})
    libcalamares.globalstorage.insert("firmwareType", "efi" if is_efi else "bios")
    libcalamares.globalstorage.insert("partitions", partitions)
    choice = settings.get("choice")
    if choice:
        libcalamares.globalstorage.insert("packagechooser_gpu", choice)
    return None
