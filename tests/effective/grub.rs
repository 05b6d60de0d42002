//! `/etc/default/grub`, told by sh and by the real grub-mkconfig and grub-script-check.

use std::fs;
use std::path::Path;
use std::process::Command;

use neuron_tests::readers::{grub_default as source, in_own_mounts, output};

use super::{Applied, for_each};

fn words(lines: &(String, String)) -> Vec<&str> {
    lines.0.split_whitespace().chain(lines.1.split_whitespace()).collect()
}

/// The real grub-mkconfig with its real `10_linux` over the target's defaults and kernels, in a mount
/// namespace of its own. Only grub-probe is a stand-in: there is no disk to ask.
const MKCONFIG: &str = r#"
work=$1/grub-mkconfig-test
mkdir -p "$work/grub.d"
cp /etc/grub.d/00_header /etc/grub.d/10_linux "$work/grub.d/"
for other in 30_other 41_last; do
    printf '#!/bin/sh\necho "menuentry %s { true }"\n' "'$other'" >"$work/grub.d/$other"
    chmod 755 "$work/grub.d/$other"
done
if [ -e "$1/etc/grub.d/99_neuron_host" ]; then cp "$1/etc/grub.d/99_neuron_host" "$work/grub.d/"; fi
cat >"$work/grub-probe" <<'PROBE'
#!/bin/sh
case "$*" in
    *--target=device*) echo /dev/sda2 ;;
    *--target=fs_uuid*) echo 0b1fd2c4-5a0e-4f43-9d5c-3d9a6b2f7e11 ;;
    *--target=fs*) echo ext2 ;;
esac
PROBE
chmod 755 "$work/grub-probe"
mount --bind "$1/etc/default" /etc/default
mount --bind "$1/boot" /boot
mount --bind "$work/grub.d" /etc/grub.d
mount --bind "$work/grub-probe" /usr/sbin/grub-probe
grub-mkconfig
"#;

/// The menu of a target, and the words after the kernel of every `linux` line in it.
pub(super) fn mkconfig(root: &Path) -> Result<(String, Vec<Vec<String>>), String> {
    let (good, menu, error) = in_own_mounts(MKCONFIG, root).unwrap();
    if !good {
        return Err(error);
    }
    let line = |line: &str| {
        let rest = line.trim_start().strip_prefix("linux\t")?;
        Some(rest.split_whitespace().skip(1).map(str::to_owned).collect())
    };
    let lines = menu.lines().filter_map(line).collect();
    Ok((menu, lines))
}

/// What GRUB's own parser says of a menu.
fn script_check(root: &Path, menu: &str) -> bool {
    let file = root.join("menu.cfg");
    fs::write(&file, menu).unwrap();
    output(Command::new("grub-script-check").arg(&file), "grub-common").unwrap().0
}

fn has_grub(applied: &Applied) -> bool {
    applied.untouched().join("etc/default/grub").exists()
}

#[test]
fn sh_reads_every_parameter_once_and_what_was_there_before() {
    let mut checked = 0;
    for_each(|applied| {
        if !has_grub(applied) {
            return;
        }
        let name = &applied.scenario.name;
        let (before, after) =
            (source(&applied.untouched()).unwrap(), source(&applied.ground.target()).unwrap());
        let (old, new) = (words(&before), words(&after));
        for parameter in &applied.scenario.parameters {
            assert!(!old.contains(&parameter.as_str()), "{name}: {parameter} stood there before");
            assert_eq!(
                new.iter().filter(|word| *word == parameter).count(),
                1,
                "{name}: {parameter} in {new:?}"
            );
        }
        let ours = |word: &&str| applied.scenario.parameters.iter().any(|parameter| parameter == word);
        let others: Vec<&str> = new.into_iter().filter(|word| !ours(word)).collect();
        assert_eq!(others, old, "{name}: the other words and their order");
        checked += 1;
    });
    assert!(checked > 12, "only {checked} targets with GRUB");
}

#[test]
fn the_menu_of_the_real_grub_mkconfig_has_them_in_every_entry() {
    for name in [
        "grub-single-quotes",
        "grub-double-quotes",
        "grub-cmdline-linux",
        "grub-computed",
        "vfio-built-in",
        "hugepages",
    ] {
        let applied = Applied::new(name).unwrap();
        let (_, before) = mkconfig(&applied.untouched()).unwrap();
        let root = applied.ground.target();
        let (menu, lines) = mkconfig(&root).unwrap();
        let (host, after): (Vec<_>, Vec<_>) =
            lines.into_iter().partition(|line| line.contains(&"neuron.passthrough=off".to_owned()));
        assert!(script_check(&root, &menu), "{name}: grub-script-check\n{menu}");
        assert!(!after.is_empty() && before.len() == after.len(), "{name}: {after:?}");
        for (before, after) in before.iter().zip(&after) {
            assert!(after.iter().any(|word| word.starts_with("root=")), "{name}: {after:?}");
            for parameter in &applied.scenario.parameters {
                assert!(!before.contains(parameter), "{name}: {before:?}");
                assert_eq!(after.iter().filter(|word| *word == parameter).count(), 1, "{name}: {after:?}");
            }
            let others = after.iter().filter(|word| !applied.scenario.parameters.contains(word));
            assert_eq!(others.collect::<Vec<_>>(), before.iter().collect::<Vec<_>>(), "{name}");
        }
        assert!(!script_check(&root, &format!("{menu}\nmenuentry 'broken' {{\n")), "{name}: a broken menu");
        for line in &host {
            let switches = ["neuron.passthrough=off".to_owned(), "vfio-pci.ids=".to_owned()];
            let wanted: Vec<String> = before[0].iter().cloned().chain(switches).collect();
            assert_eq!(*line, wanted, "{name}: the host entry");
        }
        assert!(!host.is_empty(), "{name}: no host entry\n{menu}");
        assert_eq!(menu.matches(", without GPU passthrough' --class").count(), host.len(), "{name}\n{menu}");
        assert_eq!(menu.matches("$menuentry_id_option 'neuron-host' {").count(), 1, "{name}\n{menu}");
    }
}

/// What a number in `GRUB_DEFAULT` counts: the entries and submenus of the first level.
fn first_level(menu: &str) -> Vec<&str> {
    menu.lines()
        .filter(|line| line.starts_with("menuentry ") || line.starts_with("submenu "))
        .filter_map(|line| line.split('\'').nth(1))
        .collect()
}

#[test]
fn a_number_in_grub_default_means_what_it_meant() {
    for name in ["grub-single-quotes", "grub-trial", "two-kernels-6.1"] {
        let applied = Applied::new(name).unwrap();
        let (before, _) = mkconfig(&applied.untouched()).unwrap();
        let (after, _) = mkconfig(&applied.ground.target()).unwrap();
        let (before, after) = (first_level(&before), first_level(&after));
        assert!(before.len() >= 4 && before.ends_with(&["30_other", "41_last"]), "{name}: {before:?}");
        assert_eq!(after[..before.len()], before, "{name}: the entries that were there keep their numbers");
        let ours = &after[before.len()..];
        assert!(
            !ours.is_empty() && ours.iter().all(|title| title.contains("without GPU passthrough")),
            "{name}: {ours:?}"
        );
    }
}

#[test]
fn the_host_entry_can_be_the_default_of_grub() {
    // Behind the one for `grub-reboot`, which the menu takes from its own environment.
    let default = |root: &Path| {
        let (menu, _) = mkconfig(root).unwrap();
        menu.lines().filter_map(|line| line.trim().strip_prefix("set default=")).nth(1).unwrap().to_owned()
    };
    let applied = Applied::new("grub-host-default").unwrap();
    assert_eq!(default(&applied.untouched()), "\"0\"");
    assert_eq!(default(&applied.ground.target()), "\"neuron-host\"");
}

/// What starts passthrough once, by the programs that GRUB brings: the real header asks for it, the
/// real grub-editenv says it and takes it back, and entry 0 is the one with passthrough.
#[test]
fn on_trial_grub_starts_the_passthrough_entry_once() {
    let applied = Applied::new("grub-trial").unwrap();
    let root = applied.ground.target();
    let (menu, lines) = mkconfig(&root).unwrap();
    assert!(script_check(&root, &menu), "grub-script-check\n{menu}");
    assert_eq!(menu.matches("set default=\"neuron-host\"").count(), 1, "{menu}");
    let asks = menu.find("set default=\"${next_entry}\"").unwrap();
    let forgets = menu.find("set next_entry=\n").unwrap();
    assert!(asks < forgets && menu[forgets..].trim_start().contains("save_env next_entry"), "{menu}");
    assert!(!lines[0].contains(&"neuron.passthrough=off".to_owned()), "{:?}", lines[0]);
    for parameter in &applied.scenario.parameters {
        assert!(lines[0].contains(parameter), "{parameter} in {:?}", lines[0]);
    }
    let untouched = fs::read(applied.untouched().join("boot/grub/grubenv")).unwrap();
    let block = root.join("boot/grub/grubenv");
    assert_eq!(fs::read(&block).unwrap(), untouched, "a stand-in of the target changed it");
    let editenv = |words: &[String]| {
        let words = words
            .iter()
            .map(|word| if word == "/boot/grub/grubenv" { block.as_os_str() } else { word.as_ref() });
        output(Command::new("grub-editenv").args(words), "grub-common").unwrap()
    };
    let plan: serde_json::Value = {
        applied.ground.replace_target("grub-trial").unwrap();
        serde_json::from_str(&applied.ground.run(&["plan", "--json"]).unwrap().stdout).unwrap()
    };
    let step = plan["steps"].as_array().unwrap().iter().find(|step| step["id"] == "trial-once").unwrap();
    let words = |key: &str| -> Vec<String> {
        let argv = step["action"][key].as_array().unwrap().iter();
        let argv: Vec<String> = argv.map(|word| word.as_str().unwrap().to_owned()).collect();
        assert_eq!(argv[0], "grub-editenv");
        argv[1..].to_vec()
    };
    let list = || editenv(&["/boot/grub/grubenv".to_owned(), "list".to_owned()]).1;
    assert!(editenv(&words("argv")).0);
    assert_eq!(list(), "next_entry=0\n");
    assert!(editenv(&words("undo")).0);
    assert_eq!(list(), "");
    assert_eq!(fs::read(&block).unwrap(), untouched, "set and unset");
}

#[test]
fn the_readers_do_not_take_a_broken_file() {
    let dir = tempfile::tempdir().unwrap();
    neuron_tests::target::copy("grub-not-shell", dir.path()).unwrap();
    assert!(source(dir.path()).is_err());
    assert!(mkconfig(dir.path()).is_err());
}
