//! Entries of systemd-boot, told by systemd's own parser.

use std::path::Path;

use neuron_tests::readers;

use super::{Applied, for_each};

fn entries(boot: &Path) -> std::collections::BTreeMap<String, String> {
    readers::entries(boot).unwrap()
}

fn boots(root: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    ["boot", "efi"]
        .map(|name| root.join(name))
        .into_iter()
        .filter(|boot| boot.join("loader/entries").is_dir())
}

#[test]
fn every_entry_of_this_system_gets_every_parameter_once() {
    let mut checked = 0;
    for_each(|applied| {
        let name = &applied.scenario.name;
        for (old, new) in boots(&applied.untouched()).zip(boots(&applied.ground.target())) {
            let (before, after) = (entries(&old), entries(&new));
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

#[test]
fn a_key_that_is_none_is_not_read_as_options() {
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
