//! Entries of systemd-boot, told by systemd's own parser.

use std::collections::BTreeMap;
use std::path::Path;

use neuron_tests::bootctl;
use neuron_tests::readers::in_own_mounts;

use super::{Applied, for_each};

/// The options of every type 1 entry, by its file's name.
fn entries(boot: &Path) -> BTreeMap<String, String> {
    bootctl::list(boot).unwrap().into_iter().collect()
}

pub(super) fn boots(root: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    ["boot", "efi"]
        .map(|name| root.join(name))
        .into_iter()
        .filter(|boot| boot.join("loader/entries").is_dir())
}

#[test]
fn every_entry_of_this_system_gets_every_parameter_once() {
    if !bootctl::is_there() {
        return;
    }
    let mut checked = 0;
    for_each(|applied| {
        let name = &applied.scenario.name;
        for (old, new) in boots(&applied.untouched()).zip(boots(&applied.ground.target())) {
            let (before, mut after) = (entries(&old), entries(&new));
            after.retain(|id, _| !is_host(id));
            assert!(!before.is_empty() && before.keys().eq(after.keys()), "{name}: {after:?}");
            for (id, options) in &after {
                let (old, new): (Vec<&str>, Vec<&str>) =
                    (before[id].split_whitespace().collect(), options.split_whitespace().collect());
                if id == "windows.conf" {
                    assert_eq!(old, new, "{name}: another system's entry");
                    continue;
                }
                let wanted: Vec<&str> =
                    old.into_iter().chain(applied.scenario.parameters.iter().map(String::as_str)).collect();
                assert_eq!(new, wanted, "{name}, {id}");
                checked += 1;
            }
        }
    });
    assert!(checked > 10, "only {checked} entries");
}

fn is_host(id: &str) -> bool {
    id.starts_with("aa-neuron-host-")
}

#[test]
fn beside_the_entry_of_every_kernel_stands_one_of_the_host_and_never_in_front() {
    if !bootctl::is_there() {
        return;
    }
    let (mut checked, mut defaults) = (0, 0);
    for_each(|applied| {
        let name = &applied.scenario.name;
        for (old, new) in boots(&applied.untouched()).zip(boots(&applied.ground.target())) {
            let (before, after) = (entries(&old), bootctl::list(&new).unwrap());
            let order: Vec<&str> = after.iter().map(|(id, _)| id.as_str()).collect();
            for (id, options) in after.iter().filter(|(id, _)| is_host(id)) {
                let stem = id.trim_start_matches("aa-neuron-host-").trim_end_matches(".conf");
                let twin =
                    before.keys().filter(|other| other.starts_with(stem)).min_by_key(|other| other.len());
                let twin = twin.unwrap_or_else(|| panic!("{name}: {id} is nobody's twin")).clone();
                let words: Vec<&str> = before[&twin].split_whitespace().collect();
                let wanted = [words, vec!["neuron.passthrough=off", "vfio-pci.ids="]].concat();
                assert_eq!(options.split_whitespace().collect::<Vec<_>>(), wanted, "{name}, {id}");
                // What stands first boots, where nothing says otherwise.
                let place = |wanted: &str| order.iter().position(|id| *id == wanted).unwrap();
                assert!(place(id) > place(&twin), "{name}: {order:?}");
                checked += 1;
            }
        }
        let wanted =
            applied.scenario.name.ends_with("host-default") || applied.scenario.name == "systemd-boot-trial";
        if let Some(default) = default_entry(&applied.ground.target()) {
            assert_eq!(is_host(&default), wanted, "{name}: {default} is the default");
            defaults += usize::from(wanted);
        }
    });
    assert!(checked >= 8 && defaults >= 3, "only {checked} entries, {defaults} of them the default");
}

/// What bootctl calls the default: the ESP's `loader.conf` says it, also for entries on XBOOTLDR.
const DEFAULT: &str = r#"
esp=$(mktemp -d) boot=$(mktemp -d)
mount -t tmpfs none "$esp"
mount -t tmpfs none "$boot"
if [ -d "$1/efi/EFI/systemd" ]; then
    cp -R "$1/efi/." "$esp/"
    cp -R "$1/boot/." "$boot/"
    set -- --boot-path="$boot"
else
    cp -R "$1/boot/." "$esp/"
    set --
fi
export SYSTEMD_RELAX_ESP_CHECKS=1 SYSTEMD_RELAX_XBOOTLDR_CHECKS=1
bootctl --no-pager --esp-path="$esp" "$@" list
umount "$esp" "$boot"
rmdir "$esp" "$boot"
"#;

/// The entry that boots when nobody chooses; none where the target has no systemd-boot.
fn default_entry(root: &Path) -> Option<String> {
    let has_program = ["boot", "efi"].iter().any(|mount| root.join(mount).join("EFI/systemd").is_dir());
    if !has_program {
        return None;
    }
    let (good, said, error) = in_own_mounts(DEFAULT, root).unwrap();
    assert!(good, "bootctl failed: {error}");
    // systemd 252 says it in words only.
    let mut lines = said.lines().map(str::trim).skip_while(|line| !line.contains("(default)"));
    lines.find_map(|line| line.strip_prefix("id: ")).map(str::to_owned)
}

#[test]
fn a_key_that_is_none_is_not_read_as_options() {
    if !bootctl::is_there() {
        return;
    }
    let applied = Applied::new("systemd-boot").unwrap();
    let boot = applied.ground.target().join("boot");
    let file = boot.join("loader/entries/arch.conf");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("options ", "option ")).unwrap();
    assert_eq!(entries(&boot)["arch.conf"], "");
    assert_ne!(entries(&boot)["arch-fallback.conf"], "");
}

#[test]
fn the_kernel_command_line_file_keeps_its_root_and_gains_the_parameters() {
    // kernel-install and mkinitcpio read words out of it, whatever the lines.
    let mut checked = 0;
    for_each(|applied| {
        let read = |root: &Path| std::fs::read_to_string(root.join("etc/kernel/cmdline"));
        let (Ok(before), Ok(after)) = (read(&applied.untouched()), read(&applied.ground.target())) else {
            return;
        };
        let ours = applied.scenario.parameters.iter().map(String::as_str);
        let wanted: Vec<&str> = before.split_whitespace().chain(ours).collect();
        assert_eq!(after.split_whitespace().collect::<Vec<_>>(), wanted, "{}", applied.scenario.name);
        assert!(wanted.iter().any(|word| word.starts_with("root=")));
        checked += 1;
    });
    assert!(checked >= 2, "only {checked}");
}
