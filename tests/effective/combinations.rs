//! Every way of every boot loader with every generator: who reads the files at boot finds the parameters in
//! every entry of this system, the way back beside them, and vfio-pci first in the image. The list of pairs
//! is the program's own.

use std::collections::BTreeSet;
use std::path::Path;

use neuron_passthrough::plan::combinations;
use neuron_tests::scenario::{self, Combination, Scenario};
use neuron_tests::{bootctl, readers};

use super::loaders::{LIMINE_TOOL, UNIFIED, words};
use super::{Applied, entries, grub};

const SWITCHES: [&str; 2] = ["neuron.passthrough=off", "vfio-pci.ids="];

/// The command lines of `limine.conf`, wherever it lies.
const LIMINE: &str = r#"
for file in "$1"/boot/limine.conf "$1"/efi/limine.conf; do
    [ ! -e "$file" ] || sed -n 's/^[[:blank:]]*cmdline:[[:blank:]]*//p' "$file"
done
"#;

/// The second word in quotes of every line of `refind_linux.conf` that is no comment.
const REFIND: &str = r#"
awk -F '"' '!/^[[:blank:]]*#/ && NF >= 5 { print $4 }' "$1"/boot/refind_linux.conf
"#;

/// The lines that a script of bash prints, in words.
fn lines(script: &str, root: &Path) -> Vec<Vec<String>> {
    let mut command = std::process::Command::new("bash");
    command.args(["-euc", script, "bash"]).arg(root);
    let (good, said, error) = readers::output(&mut command, "bash").unwrap();
    assert!(good && error.is_empty(), "{error}");
    said.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

/// Every kernel command line that a way with a generator has in a root, those of the host among them; `None`
/// where the reader is not on this machine.
fn command_lines(way: &str, generator: &str, root: &Path) -> Option<Vec<Vec<String>>> {
    Some(match (way, generator) {
        ("GRUB", _) => grub::mkconfig(root).unwrap().1,
        ("systemd-boot", _) => {
            if !bootctl::is_there() {
                return None;
            }
            let all = entries::boots(root).flat_map(|boot| bootctl::list(&boot).unwrap());
            let of_this = all.filter(|(id, _)| id != "windows.conf");
            of_this.map(|(_, line)| line.split_whitespace().map(str::to_owned).collect()).collect()
        }
        ("unified kernel images", "mkinitcpio") => {
            let host = "/etc/neuron/host-cmdline";
            let is_there = root.join(&host[1..]).exists();
            std::iter::once("")
                .chain(is_there.then_some(host))
                .map(|file| words(UNIFIED, root, file))
                .collect()
        }
        ("unified kernel images", "dracut") => {
            // The host's image is built with the switches on dracut's own command line.
            let given = [String::new(), SWITCHES.join(" ")];
            let is_applied = root.join("etc/dracut.conf.d/zz-neuron-vfio-cmdline.conf").exists();
            let given = given.iter().take(1 + usize::from(is_applied));
            given
                .map(|given| readers::dracut(root, given).unwrap().remove("kernel_cmdline").unwrap())
                .collect()
        }
        ("Limine with its entry tool", _) => {
            let own = std::iter::once(words(LIMINE_TOOL, root, "default"));
            // What the tool made before stays until it is run; beside it stands ours.
            let host = lines(LIMINE, root).into_iter().filter(|line| is_host(line));
            own.chain(host).collect()
        }
        ("Limine", _) => lines(LIMINE, root),
        ("rEFInd", _) => lines(REFIND, root),
        _ => panic!("nobody reads {way} with {generator}"),
    })
}

fn is_host(line: &[String]) -> bool {
    line.iter().any(|word| word == SWITCHES[0])
}

fn has_modules(generator: &str, root: &Path) -> bool {
    match generator {
        "dracut" => {
            readers::dracut(root, "").unwrap()["force_drivers"].first().is_some_and(|one| one == "vfio_pci")
        }
        "mkinitcpio" => {
            let presets = readers::mkinitcpio(root).unwrap();
            !presets.is_empty()
                && presets.iter().all(|one| one.modules.first().is_some_and(|one| one == "vfio_pci"))
        }
        _ => panic!("nobody reads what {generator} is told"),
    }
}

#[test]
fn every_pair_is_read_by_somebody_else() {
    let mut checked = BTreeSet::new();
    for name in scenario::names().unwrap() {
        let Some(Combination { loader, generator }) = Scenario::load(&name).unwrap().shows else { continue };
        let applied = Applied::new(&name).unwrap();
        let (old, new) = (applied.untouched(), applied.ground.target());
        assert!(!has_modules(&generator, &old) && has_modules(&generator, &new), "{name}: modules");
        checked.insert((loader.clone(), generator.clone()));
        let read = |root: &Path| command_lines(&loader, &generator, root);
        let (Some(before), Some(after)) = (read(&old), read(&new)) else { continue };
        let (host, own): (Vec<_>, Vec<_>) = after.into_iter().partition(|line| is_host(line));
        assert!(!before.is_empty() && own.len() == before.len(), "{name}: {before:?} {own:?}");
        for (before, after) in before.iter().zip(&own) {
            let (ours, others): (Vec<&String>, Vec<&String>) =
                after.iter().partition(|word| applied.scenario.parameters.contains(word));
            assert_eq!(ours, applied.scenario.parameters.iter().collect::<Vec<_>>(), "{name}: {after:?}");
            assert_eq!(others, before.iter().collect::<Vec<_>>(), "{name}");
            assert!(
                !applied.scenario.parameters.iter().any(|word| before.contains(word)),
                "{name}: {before:?}"
            );
        }
        assert!(!host.is_empty(), "{name}: no way back");
        // What the tool made for its entries before is what the way back is made from.
        let made = if loader.ends_with("tool") { lines(LIMINE, &old) } else { Vec::new() };
        for line in host {
            let (original, switches) = line.split_at(line.len() - SWITCHES.len());
            assert!(
                before.iter().chain(&made).any(|before| before == original) && *switches == SWITCHES,
                "{name}: {line:?}"
            );
        }
    }
    let all: BTreeSet<_> =
        combinations().map(|(way, generator)| (way.to_owned(), generator.to_owned())).collect();
    assert_eq!(checked, all);
}
