//! Files that are shell, or that a line of shell reads at the source: what bash makes of them.
//! Limine's entry tool, sdboot-manage, and the command line that mkinitcpio puts into an image.

use std::path::Path;
use std::process::Command;

use neuron_tests::readers::output;

use super::Applied;

/// The tool's layers, in its order. Its assignments are those of a bash array.
pub(super) const LIMINE_TOOL: &str = r#"
declare -A KERNEL_CMDLINE
for x in "$1"/usr/share/limine-entry-tool.d/*.conf "$1"/etc/limine-entry-tool.conf \
    "$1"/etc/limine-entry-tool.d/*.conf "$1"/etc/default/limine; do
    if [ -e "$x" ]; then . "$x"; fi
done
printf '%s\n' "${KERNEL_CMDLINE[$2]}"
"#;

const SDBOOT_MANAGE: &str = r#"
. "$1/etc/sdboot-manage.conf"
printf '%s\n' "$LINUX_OPTIONS"
"#;

/// As `build_uki` does it, for the default files or those of one preset.
pub(super) const UNIFIED: &str = r#"
if [ -n "$2" ]; then
    files=("$1$2")
else
    files=()
    for x in "$1"/etc/kernel/cmdline "$1"/usr/lib/kernel/cmdline; do
        if [ -e "$x" ]; then files=("$x"); break; fi
    done
    for x in "$1"/etc/cmdline.d/*.conf; do
        if [ -e "$x" ]; then files+=("$x"); fi
    done
fi
grep -ha -- '^[^#]' "${files[@]}" | tr -s '\n' ' '
"#;

/// The words that a script of bash finds in a root.
pub(super) fn words(script: &str, root: &Path, argument: &str) -> Vec<String> {
    let mut command = Command::new("bash");
    command.args(["-eo", "pipefail", "-c", script, "bash"]).arg(root).arg(argument);
    let (good, said, error) = output(&mut command, "bash").unwrap();
    assert!(good, "{error}");
    said.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn bash_reads_every_parameter_once_behind_what_was_there() {
    for (name, script, argument, has_root) in [
        ("limine-tool", LIMINE_TOOL, "default", true),
        ("dracut-limine-tool", LIMINE_TOOL, "default", true),
        ("limine-tool-anew", LIMINE_TOOL, "default", true),
        ("limine-tool-anew", LIMINE_TOOL, "linux-lts", true),
        ("sdboot-manage", SDBOOT_MANAGE, "", false),
        ("uki-only", UNIFIED, "", true),
        ("uki-cmdline-d", UNIFIED, "", true),
        ("uki-shipped-cmdline", UNIFIED, "", true),
        ("uki-own-cmdline", UNIFIED, "/etc/kernel/cmdline-main", true),
        ("uki-own-cmdline", UNIFIED, "/etc/kernel/cmdline-fallback", true),
        ("every-loader", UNIFIED, "", true),
    ] {
        let applied = Applied::new(name).unwrap();
        let before = words(script, &applied.untouched(), argument);
        let after = words(script, &applied.ground.target(), argument);
        for parameter in &applied.scenario.parameters {
            assert!(!before.contains(parameter), "{name}: {before:?}");
            assert_eq!(after.iter().filter(|word| *word == parameter).count(), 1, "{name}: {after:?}");
        }
        let others: Vec<_> =
            after.iter().filter(|word| !applied.scenario.parameters.contains(word)).collect();
        assert_eq!(others, before.iter().collect::<Vec<_>>(), "{name}, {argument}");
        assert_eq!(before.iter().any(|word| word.starts_with("root=")), has_root, "{name}: {before:?}");
    }
}

#[test]
fn the_fallback_and_other_systems_keep_their_command_lines() {
    let applied = Applied::new("limine-tool-anew").unwrap();
    let fallback = |root: &Path| words(LIMINE_TOOL, root, "fallback");
    assert_eq!(fallback(&applied.ground.target()), fallback(&applied.untouched()));
    assert!(!fallback(&applied.untouched()).is_empty());
    for (name, file, other) in [
        ("limine-several", "boot/limine.conf", "root=UUID=9a8b7c6d"),
        ("limine-several", "boot/limine.conf", "//Way back"),
        ("refind-stanzas", "boot/refind_linux.conf", "root=UUID=9a8b7c6d"),
    ] {
        let applied = Applied::new(name).unwrap();
        let read = |root: &Path| std::fs::read_to_string(root.join(file)).unwrap();
        let lines = |root: &Path| {
            let text = read(root);
            text.lines().filter(|line| line.contains(other)).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(lines(&applied.ground.target()), lines(&applied.untouched()), "{name}");
        assert_ne!(read(&applied.ground.target()), read(&applied.untouched()), "{name}");
    }
}

/// The host's command lines in files that their loaders read, and what they must be made of.
#[test]
fn the_host_entry_has_the_original_words_and_the_switches() {
    let switches = "neuron.passthrough=off vfio-pci.ids=";
    for (name, file, before, host) in [
        (
            "limine-conf",
            "boot/limine.conf",
            "    cmdline: root=UUID=0b1fd2c4-5a0e-4f43-9d5c-3d9a6b2f7e11 rw quiet",
            "    cmdline: root=UUID=0b1fd2c4-5a0e-4f43-9d5c-3d9a6b2f7e11 rw quiet SWITCHES",
        ),
        (
            "limine-several",
            "boot/limine.conf",
            "    cmdline: ${BASE} quiet",
            "    cmdline: root=UUID=0b1fd2c4-5a0e-4f43-9d5c-3d9a6b2f7e11 rw quiet SWITCHES",
        ),
        (
            "refind-stanzas",
            "efi/EFI/refind/refind.conf",
            "    options \"root=UUID=0b1fd2c4-5a0e-4f43-9d5c-3d9a6b2f7e11 rw quiet\"",
            "        options \"root=UUID=0b1fd2c4-5a0e-4f43-9d5c-3d9a6b2f7e11 rw quiet SWITCHES\"",
        ),
    ] {
        let applied = Applied::new(name).unwrap();
        let read = |root: &Path| std::fs::read_to_string(root.join(file)).unwrap();
        let (old, new) = (read(&applied.untouched()), read(&applied.ground.target()));
        let host = host.replace("SWITCHES", switches);
        assert!(old.contains(before) && !old.contains(&host), "{name}: {old}");
        assert_eq!(new.matches(&host).count(), 1, "{name}: {new}");
    }
    for name in ["uki-only", "uki-cmdline-d", "uki-shipped-cmdline"] {
        let applied = Applied::new(name).unwrap();
        let root = applied.ground.target();
        let mut wanted = words(UNIFIED, &applied.untouched(), "");
        wanted.extend(switches.split(' ').map(str::to_owned));
        // As the preset says it: `--cmdline`.
        assert_eq!(words(UNIFIED, &root, "/etc/neuron/host-cmdline"), wanted, "{name}");
        let preset = std::fs::read_to_string(root.join("etc/mkinitcpio.d/neuron-host-linux.preset")).unwrap();
        assert!(preset.contains("host_options=\"--cmdline /etc/neuron/host-cmdline "), "{name}: {preset}");
    }
}
