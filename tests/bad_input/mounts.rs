//! File systems that do not take what is written: read-only ones and full ones, in a mount namespace
//! of their own.

use std::process::Command;

use neuron_tests::left_out;
use neuron_tests::program::{self, Output};
use neuron_tests::scenario::Ground;

use super::{ground, same};

/// Runs the program after `script`, which gets the target as `$1`, and brings back what the target
/// was before and after, as seen in the namespace.
fn mounted(ground: &Ground, script: &str, arguments: &str) -> Output {
    let script = format!(
        "{script}\n\
         list() {{ (cd \"$1\" && find . -printf '%p %y %m %U %G %l\\n' | LC_ALL=C sort && \
         find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum); }}\n\
         list \"$1\" >\"$1.before\"\n\
         code=0; \"$2\" --machine-root \"$3\" --target-root \"$1\" {arguments} || code=$?\n\
         list \"$1\" >\"$1.after\"\n\
         exit \"$code\"\n"
    );
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["sh", "-euc", &script, "sh"]);
    command.arg(ground.target()).arg(program::path().unwrap()).arg(ground.machine());
    let output = program::output(&mut command).unwrap();
    let list = |name: &str| std::fs::read_to_string(ground.beside(name)).expect("the script ran to its end");
    let (before, after) = (list("target.before"), list("target.after"));
    assert!(before.lines().count() > 50, "{before}");
    assert_eq!(before != after, output.code == 4, "what was written does not fit {}", output.code);
    output
}

const READ_ONLY: &str = "mount --bind \"$1\" \"$1\"\nmount -o remount,bind,ro \"$1\"";

/// The whole target in a tmpfs of a size that leaves `$free` KiB.
fn full(free: u32) -> String {
    format!(
        "cp -R \"$1\" \"$1.copy\"\n\
         mount -t tmpfs -o size=$(($(du -sk \"$1.copy\" | cut -f1) + 49152))k none \"$1\"\n\
         cp -R \"$1.copy/.\" \"$1/\"\n\
         left=$(df --output=avail -k \"$1\" | tail -n 1)\n\
         head -c $(((left - {free}) * 1024)) /dev/zero >\"$1/var/ballast\"\n"
    )
}

#[test]
fn a_read_only_target_is_told_before_anything_is_tried() {
    let ground = ground("arch-grub");
    let output = mounted(&ground, READ_ONLY, "apply --yes");
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert!(output.stderr.contains("Read-only file system"), "{}", output.stderr);
    assert!(output.stderr.contains("hint:"), "{}", output.stderr);
    let output = mounted(&ground, READ_ONLY, "plan");
    assert_eq!(output.code, 0, "looking needs no writing: {}", output.stderr);
    let output = mounted(&ground, "", "apply --yes");
    assert_eq!(output.code, 4, "the same without the mount: {}", output.stderr);
}

#[test]
fn a_refusal_on_a_read_only_target_is_a_refusal_all_the_same() {
    let ground = ground("no-loader");
    let output = mounted(&ground, READ_ONLY, "apply --yes");
    assert_eq!(output.code, 3, "{}", output.stderr);
    assert!(output.stderr.contains("no boot loader"), "{}", output.stderr);
}

#[test]
fn a_read_only_boot_partition_puts_nothing_anywhere() {
    let ground = ground("arch-systemd-boot");
    let script = "mount --bind \"$1/boot\" \"$1/boot\"\nmount -o remount,bind,ro \"$1/boot\"\n\
                  echo 'UUID=AAAA-BBBB /boot vfat defaults 0 2' >>\"$1/etc/fstab\"";
    let output = mounted(&ground, script, "apply --yes");
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert!(output.stderr.contains("cannot write /boot/"), "{}", output.stderr);
}

#[test]
fn a_full_disk_is_told_and_nothing_stays() {
    for free in [0, 4, 8, 16] {
        let ground = ground("arch-grub");
        let output = mounted(&ground, &full(free), "apply --yes");
        assert_eq!(output.code, 1, "{free} KiB: {}", output.stderr);
        let told = ["bytes are needed", "No space left"].iter().any(|words| output.stderr.contains(words));
        assert!(told && output.stderr.contains("hint:"), "{free} KiB: {}", output.stderr);
    }
    let ground = ground("arch-grub");
    assert_eq!(mounted(&ground, &full(2048), "apply --yes").code, 4, "with room it works");
}

#[test]
fn an_ordinary_user_is_told_to_be_root() {
    if left_out::without_root("nobody else is there to own the target") {
        return;
    }
    let ground = ground("arch-grub");
    let before = ground.tree().unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program::path().unwrap());
    command.arg("--machine-root").arg(ground.machine()).arg("--target-root").arg(ground.target());
    std::os::unix::fs::chown(ground.beside(""), Some(65534), None).unwrap();
    let output = program::output(command.args(["apply", "--yes"])).unwrap();
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert!(output.stderr.contains("root"), "{}", output.stderr);
    same(&before, &ground.tree().unwrap(), false);
}

/// Two kernels of 1 MiB, each with an image of 6 MiB: the copies of one, room for a build of its image and the
/// margin are 29 MiB, those of both 36.
#[test]
fn room_for_the_copies_of_one_kernel_is_no_room_for_those_of_two() {
    for (free, kept) in [(32, 1), (40, 2)] {
        let ground = ground("two-kernels-6.1");
        let files = "truncate -s 1M \"$1\"/boot/vmlinuz-linux \"$1\"/boot/vmlinuz-linux-lts\n\
                     truncate -s 6M \"$1\"/boot/initramfs-linux.img \"$1\"/boot/initramfs-linux-lts.img\n";
        let output = mounted(&ground, &format!("{files}{}", full(free * 1024)), "apply --yes");
        assert_eq!(output.code, 4, "{free}: {}{}", output.stdout, output.stderr);
        let after = std::fs::read_to_string(ground.beside("target.after")).unwrap();
        let copies = |name: &str| after.lines().filter(|line| line.starts_with(name)).count();
        for name in ["./boot/neuron-host/kept-vmlinuz-linux", "./boot/neuron-host/kept-initramfs-linux"] {
            assert_eq!(copies(name), kept, "{free}: {after}");
        }
        let said = output.stdout.contains("not enough for the copies of every kernel");
        assert_eq!(said, kept == 1, "{}", output.stdout);
        assert!(!output.stdout.contains("starts the same kernel and initramfs"), "{}", output.stdout);
    }
}
